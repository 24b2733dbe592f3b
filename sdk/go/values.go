package starflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	pb "github.com/starflow/starflow-go/starflowv1"
)

var errNotUTF8 = errors.New("its text is not UTF-8")

// Decode reads a JSON value into out, a pointer. Where out leaves the type of a number
// open (any), it becomes a [json.Number], which is exact.
func Decode(raw json.RawMessage, out any) error {
	if raw == nil {
		raw = json.RawMessage("null")
	}
	if whole, ok := out.(*json.RawMessage); ok {
		*whole = raw
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		return &ConversionError{Problem: err.Error(), cause: err}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return &ConversionError{Problem: "more than one JSON value"}
	}
	return nil
}

// encode returns value as JSON text, in which floats are floats.
func encode(value any) (string, error) {
	if raw, ok := value.(json.RawMessage); ok {
		return checked(raw)
	}
	text, err := appendValue(nil, reflect.ValueOf(value), 0)
	if err == nil && !utf8.Valid(text) {
		err = errNotUTF8
	}
	if err != nil {
		return "", &ConversionError{Problem: fmt.Sprintf("%T has no JSON form: %v", value, err), cause: err}
	}
	return string(text), nil
}

func checked(raw json.RawMessage) (string, error) {
	switch {
	case len(raw) == 0:
		return "null", nil
	case !json.Valid(raw) || !utf8.Valid(raw):
		return "", &ConversionError{Problem: "a json.RawMessage that is not JSON in UTF-8"}
	}
	return string(raw), nil
}

func payload(text string) *pb.Payload {
	return &pb.Payload{Kind: &pb.Payload_Json{Json: text}}
}

// rawValue returns the value of a payload; one without a kind is null, none at all nil.
func rawValue(payload *pb.Payload) json.RawMessage {
	switch {
	case payload == nil:
		return nil
	case payload.GetJson() == "":
		return json.RawMessage("null")
	}
	return json.RawMessage(payload.GetJson())
}

// enumName returns the name of a protobuf enum's value without its prefix, or its number
// if this release does not know it.
func enumName(value fmt.Stringer, prefix string) string {
	return strings.TrimPrefix(value.String(), prefix)
}
