package starflow

import (
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

const (
	rejected = "RESULT_REJECTED"
	leaving  = "the worker shuts down"
)

// execute calls the function of a task, and passes on what the service is to be told:
// also when the function panics, or ends its goroutine as a test's FailNow does. One
// function must not end all others.
func execute(held *heldTask, outputBytesMax int, tell func(*pb.TaskResult)) {
	var text string
	err := error(Failed(errors.New("the function ended its goroutine"), "GOEXIT"))
	defer func() {
		if panicked := recover(); panicked != nil {
			err = panicFailure(panicked)
		}
		tell(resultOf(held.token, text, err, outputBytesMax))
	}()
	text, err = held.function.call(held.ctx, held.input)
}

func resultOf(token, text string, err error, outputBytesMax int) *pb.TaskResult {
	var waits *waitForSignal
	switch {
	case errors.As(err, &waits):
		return yielded(token, waits)
	case err != nil:
		return failed(token, failureOf(err))
	case len(text) > outputBytesMax:
		problem := fmt.Errorf("the function returned %d bytes, more than %d", len(text), outputBytesMax)
		return failed(token, Permanent(problem, "OUTPUT_TOO_LARGE"))
	}
	return &pb.TaskResult{TaskToken: token, Outcome: &pb.TaskResult_Output{Output: payload(text)}}
}

func panicFailure(panicked any) *Failure {
	failure := Failed(fmt.Errorf("%v", panicked), "PANIC")
	failure.StackTrace = string(debug.Stack())
	return failure
}

func failed(token string, failure *Failure) *pb.TaskResult {
	return &pb.TaskResult{TaskToken: token, Outcome: &pb.TaskResult_Failure{Failure: failure.message()}}
}

func released(token, reason string) *pb.TaskResult {
	release := &pb.Release{Reason: reason}
	return &pb.TaskResult{TaskToken: token, Outcome: &pb.TaskResult_Release{Release: release}}
}

func yielded(token string, waits *waitForSignal) *pb.TaskResult {
	yield := &pb.Yield{}
	if waits.timeout > 0 {
		yield.Timeout = durationpb.New(waits.timeout)
	}
	return &pb.TaskResult{TaskToken: token, Outcome: &pb.TaskResult_WaitForSignal{WaitForSignal: yield}}
}
