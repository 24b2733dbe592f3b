package starflow

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"encoding/json"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// Retryability is what a failure says about another attempt.
type Retryability int

const (
	// RetryabilityUnset leaves it to the function's retry policy.
	RetryabilityUnset Retryability = iota
	// RetryabilityRetryable: another attempt may help.
	RetryabilityRetryable
	// RetryabilityPermanent: another attempt cannot help, whatever the policy.
	RetryabilityPermanent
)

// Failure is why a call or a run did not succeed. A function may return one as its
// error: made by [Failed], [Permanent] or [Retryable], or by hand.
type Failure struct {
	// Code is for programs, such as CARD_DECLINED: upper-case letters, digits and _.
	Code string
	// Message is for people.
	Message string
	// Kind is APPLICATION, TIMEOUT, CANCELLED, WORKER_LOST, SCRIPT or INTERNAL. The
	// service sets it.
	Kind string
	// Retryability says whether another attempt makes sense.
	Retryability Retryability
	// RetryDelay, if not 0, replaces the delay of the policy once.
	RetryDelay time.Duration
	// Details are JSON that the script can read; nil if there are none.
	Details json.RawMessage
	// StackTrace says where it happened.
	StackTrace string

	cause error
}

const (
	failureTextMax  = 4 << 10
	stackBytesMax   = 16 << 10
	detailsBytesMax = 64 << 10
	codeLengthMax   = 63
)

// Failed returns a failure with a code, which leaves it to the retry policy whether to
// try again. An empty code stands for the name of err's type.
func Failed(err error, code string) *Failure {
	if err == nil {
		err = errors.New(code)
	}
	if code == "" {
		code = codeOf(err)
	}
	return &Failure{Code: code, Message: err.Error(), cause: err}
}

// Permanent returns a failure that no other attempt can mend, whatever the policy.
func Permanent(err error, code string) *Failure {
	failure := Failed(err, code)
	failure.Retryability = RetryabilityPermanent
	return failure
}

// Retryable returns a failure that another attempt may mend.
func Retryable(err error, code string) *Failure {
	failure := Failed(err, code)
	failure.Retryability = RetryabilityRetryable
	return failure
}

// WithDelay sets the delay before the next attempt, and returns the failure.
func (f *Failure) WithDelay(delay time.Duration) *Failure {
	f.RetryDelay = delay
	return f
}

// WithDetails sets details that the script can read, and returns the failure. What
// cannot be sent is left out, and the message says so.
func (f *Failure) WithDetails(details any) *Failure {
	text, err := encode(details)
	switch {
	case err != nil:
		f.Message = fmt.Sprintf("%s (details left out: %v)", f.Message, err)
	case len(text) > detailsBytesMax:
		f.Message = fmt.Sprintf("%s (details left out: %d bytes are more than %d)", f.Message, len(text), detailsBytesMax)
	default:
		f.Details = json.RawMessage(text)
	}
	return f
}

func (f *Failure) Error() string {
	if f.Message == "" {
		return f.Code
	}
	return f.Code + ": " + f.Message
}

// Unwrap returns the error that the failure was made of, if it was made here.
func (f *Failure) Unwrap() error { return f.cause }

// failureOf returns what the error of a function says. An ordinary error leaves it to
// the retry policy whether to try again.
func failureOf(err error) *Failure {
	var failure *Failure
	if !errors.As(err, &failure) {
		return Failed(err, "")
	}
	told := *failure
	if err != error(failure) {
		// Somebody wrapped it in order to say more.
		told.Message = err.Error()
	}
	return &told
}

func (f *Failure) message() *pb.Failure {
	message := &pb.Failure{
		Code:         cleanCode(f.Code),
		Message:      clip(f.Message, failureTextMax),
		Retryability: pb.Retryability(f.Retryability),
		StackTrace:   clip(f.StackTrace, stackBytesMax),
	}
	if f.RetryDelay != 0 {
		message.RetryDelay = durationpb.New(max(f.RetryDelay, 0))
	}
	if f.Details != nil {
		// What cannot be sent must not keep the failure from being told.
		if text, err := checked(f.Details); err == nil {
			message.Details = payload(text)
		}
	}
	return message
}

func failureFrom(message *pb.Failure) *Failure {
	if message == nil {
		return nil
	}
	kind := message.Kind
	if kind == pb.FailureKind_FAILURE_KIND_UNSPECIFIED {
		kind = pb.FailureKind_FAILURE_KIND_APPLICATION
	}
	return &Failure{
		Code:         message.Code,
		Message:      message.Message,
		Kind:         enumName(kind, "FAILURE_KIND_"),
		Retryability: Retryability(message.Retryability),
		RetryDelay:   message.RetryDelay.AsDuration(),
		Details:      rawValue(message.Details),
		StackTrace:   message.StackTrace,
	}
}

var (
	wordBorder  = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)
	notInCodes  = regexp.MustCompile(`[^A-Z0-9_]`)
	startOfCode = regexp.MustCompile(`^[A-Z]`)
)

// codeOf returns the name of the error's type, such as PATH_ERROR: the outermost one
// that somebody thought of, because errors.New and fmt.Errorf have but one each.
func codeOf(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		kind := reflect.TypeOf(err)
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if path := kind.PkgPath(); path != "errors" && path != "fmt" && kind.Name() != "" {
			return wordBorder.ReplaceAllString(kind.Name(), "${1}${3}_${2}${4}")
		}
	}
	return "ERROR"
}

// cleanCode returns a code as the service accepts it, not with its own prefix.
func cleanCode(code string) string {
	code = notInCodes.ReplaceAllString(strings.ToUpper(code), "_")
	if !startOfCode.MatchString(code) || strings.HasPrefix(code, "STARFLOW_") {
		code = "E_" + code
	}
	return code[:min(len(code), codeLengthMax)]
}

// clip returns text as valid UTF-8 of no more than so many bytes.
func clip(text string, bytesMax int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= bytesMax {
		return text
	}
	end := bytesMax
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
