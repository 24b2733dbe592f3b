package starflow

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// FunctionOption is something that [Register] can be told: a [Retry], or what
// [AttemptTimeout], [CallTimeout], [Description], [Queue] and [Schemas] return.
type FunctionOption interface {
	apply(*pb.FunctionSpec)
}

// Retry says when a failed attempt is followed by another. Without one, a failure is
// tried again only if it says so: see [Retryable]. What is zero is left to the service.
type Retry struct {
	// MaxAttempts is the most attempts, the first included; 0 means 100.
	MaxAttempts int
	// Initial is the delay after the first attempt, 1 s unless set; Coefficient the
	// factor per further one, 2 unless set.
	Initial     time.Duration
	Coefficient float64
	// Maximum is the longest delay; 100 times the first unless set.
	Maximum time.Duration
	// NonRetryable are failure codes that are never retried.
	NonRetryable []string
}

func (r Retry) apply(spec *pb.FunctionSpec) {
	spec.RetryPolicy = &pb.RetryPolicy{
		InitialInterval:    optionalDuration(r.Initial),
		BackoffCoefficient: r.Coefficient,
		MaxInterval:        optionalDuration(r.Maximum),
		MaxAttempts:        int32(r.MaxAttempts),
		NonRetryableCodes:  r.NonRetryable,
	}
}

type functionOption func(*pb.FunctionSpec)

func (o functionOption) apply(spec *pb.FunctionSpec) { o(spec) }

// AttemptTimeout bounds one attempt; the service's default is an hour. The context of
// the function ends with it.
func AttemptTimeout(most time.Duration) FunctionOption {
	return functionOption(func(spec *pb.FunctionSpec) { spec.AttemptTimeout = durationpb.New(most) })
}

// CallTimeout bounds the whole call: its attempts, the time between them, and its waiting
// for a worker or a signal. A script may allow it less; unless given, only scripts bound it.
func CallTimeout(most time.Duration) FunctionOption {
	return functionOption(func(spec *pb.FunctionSpec) { spec.CallTimeout = durationpb.New(most) })
}

// Description says for people what the function does.
func Description(text string) FunctionOption {
	return functionOption(func(spec *pb.FunctionSpec) { spec.Description = text })
}

// Queue is the queue that calls of the function belong to, where the script names no
// other; the first part of its name unless given.
func Queue(name string) FunctionOption {
	return functionOption(func(spec *pb.FunctionSpec) { spec.Queue = name })
}

// Schemas are JSON Schemas of the argument and of the result; an empty one is unknown.
func Schemas(input, output string) FunctionOption {
	return functionOption(func(spec *pb.FunctionSpec) { spec.InputSchema, spec.OutputSchema = input, output })
}

// function is a function as a worker offers it.
type function struct {
	spec *pb.FunctionSpec
	// call takes and returns JSON text.
	call func(ctx context.Context, input *pb.Payload) (string, error)
}

var functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// Register offers f to scripts as name, such as payments.charge. It panics if a script
// could not write the name, if the worker has a function of that name, or if it runs.
//
// The argument of the call is read into In, and Out is what the script gets: any types
// with a JSON form. struct{} takes any argument; any takes numbers as [json.Number].
//
// An error that f returns is a failure with the name of the error's type as its code;
// [Failed], [Permanent] and [Retryable] say more. So is a panic, with the code PANIC.
// [WaitForSignal] is no failure. The context ends when nobody waits for the result any
// more, and holds the [Task]: see [TaskFrom].
func Register[In, Out any](w *Worker, name string, f func(context.Context, In) (Out, error), options ...FunctionOption) {
	spec := &pb.FunctionSpec{Name: name}
	for _, option := range options {
		option.apply(spec)
	}
	w.offer(&function{spec, func(ctx context.Context, input *pb.Payload) (string, error) {
		var in In
		if _, takesNone := any(in).(struct{}); !takesNone {
			if err := Decode(rawValue(input), &in); err != nil {
				return "", Permanent(err, "BAD_INPUT")
			}
		}
		out, err := f(ctx, in)
		if err != nil {
			return "", err
		}
		text, err := encode(out)
		if err != nil {
			return "", Permanent(err, "BAD_OUTPUT")
		}
		return text, nil
	}})
}

func (w *Worker) offer(offered *function) {
	name := offered.spec.Name
	if !functionName.MatchString(name) {
		panic(fmt.Sprintf("starflow: %q is no name that a script could call: it takes a module and a function, such as payments.charge", name))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		panic("starflow: the worker runs already; register " + name + " before")
	}
	if _, taken := w.functions[name]; taken {
		panic("starflow: " + name + " is registered twice")
	}
	w.functions[name] = offered
}

func unknownFunction(name string) *function {
	return &function{call: func(context.Context, *pb.Payload) (string, error) {
		return "", Failed(errors.New("this worker does not offer "+name), "NOT_OFFERED")
	}}
}

// waitForSignal is what a function returns whose result a signal will bring.
type waitForSignal struct {
	timeout time.Duration
}

func (*waitForSignal) Error() string { return "starflow: the call waits for a signal" }

// WaitForSignal is what a function returns as its error in order to end now, and to have
// the call wait for a signal to [Task.SignalID]: its content becomes the call's result.
// After timeout without one the call fails with a TIMEOUT failure; 0 waits for ever.
func WaitForSignal(timeout time.Duration) error {
	return &waitForSignal{timeout}
}
