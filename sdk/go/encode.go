package starflow

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// encoding/json writes the float 1 as `1`, which a script reads as an integer: what a
// function returns would change its type with its value. So the values in which a float
// may be are written here, by the rules of encoding/json, and the others by it.

const depthMax = 1_000

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonNumber    = reflect.TypeFor[json.Number]()

	errTooDeep = errors.New("nested too deeply, or within itself")
)

func appendValue(out []byte, v reflect.Value, depth int) ([]byte, error) {
	if !v.IsValid() {
		return append(out, "null"...), nil
	}
	if depth > depthMax {
		return nil, errTooDeep
	}
	if writesItself(v) {
		return appendPlain(out, v)
	}
	if scalar, ok := appendScalar(out, v); ok {
		return scalar, nil
	}
	if !mayHoldFloats(v.Type()) {
		return appendPlain(out, v)
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return appendFloat(out, v)
	case reflect.Interface, reflect.Pointer:
		return appendValue(out, v.Elem(), depth+1)
	case reflect.Struct:
		return appendStruct(out, v, depth)
	case reflect.Map:
		return appendMap(out, v, depth)
	case reflect.Slice, reflect.Array:
		return appendList(out, v, depth)
	}
	return appendPlain(out, v) // has no JSON form, and the error says so
}

// writesItself reports whether v has a method that encoding/json would call.
func writesItself(v reflect.Value) bool {
	if isMarshaler(v.Type()) {
		return true
	}
	return v.CanAddr() && isMarshaler(reflect.PointerTo(v.Type()))
}

func isMarshaler(t reflect.Type) bool {
	return t.Implements(jsonMarshaler) || t.Implements(textMarshaler)
}

// appendScalar writes the most common values by itself, which is much faster.
func appendScalar(out []byte, v reflect.Value) ([]byte, bool) {
	switch {
	case v.Kind() == reflect.Bool:
		return strconv.AppendBool(out, v.Bool()), true
	case v.CanInt():
		return strconv.AppendInt(out, v.Int(), 10), true
	case v.CanUint():
		return strconv.AppendUint(out, v.Uint(), 10), true
	case v.Kind() == reflect.String && v.Type() != jsonNumber:
		return appendText(out, v.String())
	case v.Kind() == reflect.String && isNumber(v.String()):
		return append(out, v.String()...), true
	}
	return out, false
}

func isNumber(text string) bool {
	return text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9') && json.Valid([]byte(text))
}

// appendText writes a text in which nothing has to be escaped.
func appendText(out []byte, text string) ([]byte, bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return out, false
		}
	}
	return append(append(append(out, '"'), text...), '"'), true
}

func appendPlain(out []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() {
		v = v.Addr() // so that methods of the pointer count
	}
	return appendMarshalled(out, v.Interface())
}

func appendMarshalled(out []byte, value any) ([]byte, error) {
	buffer := bytes.NewBuffer(out)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

func appendFloat(out []byte, v reflect.Value) ([]byte, error) {
	before := len(out)
	out, err := appendPlain(out, v)
	if err == nil && !bytes.ContainsAny(out[before:], ".e") {
		out = append(out, ".0"...)
	}
	return out, err
}

func appendList(out []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return append(out, "null"...), nil
	}
	out = append(out, '[')
	for i := range v.Len() {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = appendValue(out, v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

type mapEntry struct {
	key   string
	value reflect.Value
}

func appendMap(out []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(out, "null"...), nil
	}
	entries := make([]mapEntry, 0, v.Len())
	for each := v.MapRange(); each.Next(); {
		key, err := keyText(each.Key())
		if err != nil {
			return nil, err
		}
		entries = append(entries, mapEntry{key, each.Value()})
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].key < entries[j].key })
	out = append(out, '{')
	for i, entry := range entries {
		var err error
		if out, err = appendMember(out, i, entry.key, entry.value, depth); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func appendMember(out []byte, i int, key string, v reflect.Value, depth int) ([]byte, error) {
	if i > 0 {
		out = append(out, ',')
	}
	out, ok := appendText(out, key)
	if !ok {
		var err error
		if out, err = appendMarshalled(out, key); err != nil {
			return nil, err
		}
	}
	return appendValue(append(out, ':'), v, depth+1)
}

func keyText(key reflect.Value) (string, error) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	if marshaler, ok := key.Interface().(encoding.TextMarshaler); ok {
		if key.Kind() == reflect.Pointer && key.IsNil() {
			return "", nil
		}
		text, err := marshaler.MarshalText()
		return string(text), err
	}
	switch {
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), nil
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	return "", errors.New("a map with keys of type " + key.Type().String())
}

// field is a field of a struct, or of one embedded in it, that is written.
type field struct {
	name                string
	index               []int
	tagged              bool
	omitEmpty, omitZero bool
	isQuoted            bool
}

func appendStruct(out []byte, v reflect.Value, depth int) ([]byte, error) {
	out = append(out, '{')
	written := 0
	for _, each := range fieldsOf(v.Type()) {
		inner, err := v.FieldByIndexErr(each.index)
		// The error is an embedded pointer that is nil: its fields are not there.
		if err != nil || each.isLeftOut(inner) {
			continue
		}
		if each.isQuoted {
			if inner, err = quoted(inner); err != nil {
				return nil, err
			}
		}
		if out, err = appendMember(out, written, each.name, inner, depth); err != nil {
			return nil, err
		}
		written++
	}
	return append(out, '}'), nil
}

func (f field) isLeftOut(v reflect.Value) bool {
	if f.omitZero && isZero(v) {
		return true
	}
	if !f.omitEmpty {
		return false
	}
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func isZero(v reflect.Value) bool {
	if v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		return v.IsNil()
	}
	if v.CanAddr() {
		if asked, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
			return asked.IsZero()
		}
	}
	if asked, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return asked.IsZero()
	}
	return v.IsZero()
}

// quoted returns the JSON form of v as a string: what the option `string` of a tag asks
// for.
func quoted(v reflect.Value) (reflect.Value, error) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return v, nil
		}
		v = v.Elem()
	}
	text, err := appendPlain(nil, v)
	return reflect.ValueOf(string(text)), err
}

var fieldsByType sync.Map // []field by reflect.Type

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldsByType.Load(t); ok {
		return known.([]field)
	}
	byName := map[string][]field{}
	for _, each := range allFields(t, nil, nil) {
		byName[each.name] = append(byName[each.name], each)
	}
	var fields []field
	for _, rivals := range byName {
		if found, ok := dominant(rivals); ok {
			fields = append(fields, found)
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	fieldsByType.Store(t, fields)
	return fields
}

// dominant returns the field that has the name: the one that is embedded least deeply,
// among those the tagged one. If there are several, none has it.
func dominant(rivals []field) (field, bool) {
	slices.SortStableFunc(rivals, func(a, b field) int {
		if len(a.index) != len(b.index) {
			return len(a.index) - len(b.index)
		}
		return rank(a) - rank(b)
	})
	first := rivals[0]
	for _, other := range rivals[1:] {
		if len(other.index) == len(first.index) && other.tagged == first.tagged {
			return field{}, false
		}
	}
	return first, true
}

func rank(f field) int {
	if f.tagged {
		return 0
	}
	return 1
}

func allFields(t reflect.Type, index []int, within []reflect.Type) []field {
	if slices.Contains(within, t) {
		return nil // what is here again is here less deeply, too
	}
	within = append(slices.Clone(within), t)
	var found []field
	for i := range t.NumField() {
		each := t.Field(i)
		place := append(slices.Clone(index), i)
		kind := behindPointer(each.Type)
		isEmbedded := each.Anonymous && kind.Kind() == reflect.Struct
		tag := each.Tag.Get("json")
		if tag == "-" || !each.IsExported() && !isEmbedded {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if isEmbedded && name == "" {
			found = append(found, allFields(kind, place, within)...)
		} else if each.IsExported() {
			found = append(found, newField(each, name, options, place))
		}
	}
	return found
}

func newField(of reflect.StructField, name, options string, index []int) field {
	made := field{name: name, index: index, tagged: name != ""}
	if !made.tagged {
		made.name = of.Name
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			made.omitEmpty = true
		case "omitzero":
			made.omitZero = true
		case "string":
			made.isQuoted = isScalar(behindPointer(of.Type).Kind())
		}
	}
	return made
}

func isScalar(kind reflect.Kind) bool {
	isNumber := reflect.Bool <= kind && kind <= reflect.Float64
	return isNumber || kind == reflect.String
}

func behindPointer(t reflect.Type) reflect.Type {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

var holdsFloats sync.Map // bool by reflect.Type

// mayHoldFloats reports whether a float can be anywhere in a value of this type.
func mayHoldFloats(t reflect.Type) bool {
	if known, ok := holdsFloats.Load(t); ok {
		return known.(bool)
	}
	found := findsFloats(t, map[reflect.Type]bool{})
	holdsFloats.Store(t, found)
	return found
}

func findsFloats(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findsFloats(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if findsFloats(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
