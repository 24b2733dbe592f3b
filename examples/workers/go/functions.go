package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.org/worker/starflow"
)

// task is one attempt that we hold.
type task struct {
	*pb.Task
	ctx      context.Context // ends when the task is to be abandoned
	stop     context.CancelFunc
	progress atomic.Pointer[pb.Payload] // for the next attempt, if there is one
}

func hold(delivered *pb.Task) *task {
	ctx, stop := context.WithCancel(context.Background())
	return &task{Task: delivered, ctx: ctx, stop: stop}
}

func (t *task) abandoned() bool {
	return t.ctx.Err() != nil
}

func (t *task) beat() *pb.TaskHeartbeat {
	return &pb.TaskHeartbeat{TaskToken: t.TaskToken, Progress: t.progress.Load()}
}

type function func(t *task, in input) *pb.TaskResult

// input is the argument of all functions of the check. Where numbers may be large, keep
// them as text (json.RawMessage) or as json.Number: a float64 would round them.
type input struct {
	Code, Message, Retryability string
	Details                     json.RawMessage
	SucceedAt                   int32 `json:"succeed_at"`
	Seconds                     float64
	Bytes                       int
}

// The functions of `starflow worker-check`; docs/worker-check.md says what they do.
var functions = map[string]function{
	"check.echo": func(t *task, _ input) *pb.TaskResult {
		return output(t.Input.GetJson())
	},
	"check.fail": func(_ *task, in input) *pb.TaskResult {
		retryability := pb.Retryability(pb.Retryability_value["RETRYABILITY_"+in.Retryability])
		return failure(&pb.Failure{Code: in.Code, Message: in.Message, Retryability: retryability, Details: payload(string(in.Details))})
	},
	"check.flaky": func(t *task, in input) *pb.TaskResult {
		if t.Attempt < in.SucceedAt {
			return notYet()
		}
		return output(strconv.Itoa(int(t.Attempt)))
	},
	"check.sleep": func(t *task, in input) *pb.TaskResult {
		sleep(t, in.Seconds)
		return output(`"slept"`)
	},
	"check.wait": func(*task, input) *pb.TaskResult {
		return &pb.TaskResult{Outcome: &pb.TaskResult_WaitForSignal{WaitForSignal: &pb.Yield{}}}
	},
	"check.large": func(_ *task, in input) *pb.TaskResult {
		return output(`"` + strings.Repeat("x", in.Bytes) + `"`)
	},
	"check.progress": func(t *task, _ input) *pb.TaskResult {
		if t.Attempt > 1 {
			return output(t.LastProgress.GetJson())
		}
		t.progress.Store(payload(`{"step": 1}`)) // travels with the next heartbeat
		sleep(t, 1)
		return notYet()
	},
}

func execute(t *task) *pb.TaskResult {
	call, ours := functions[t.Function]
	if !ours {
		return failure(&pb.Failure{Code: "NOT_OFFERED", Message: "this worker does not offer " + t.Function})
	}
	var in input
	_ = json.Unmarshal([]byte(t.Input.GetJson()), &in) // check.echo takes what is no object, too
	return call(t, in)
}

func offered() []*pb.FunctionSpec {
	var specs []*pb.FunctionSpec
	for name := range functions {
		specs = append(specs, &pb.FunctionSpec{Name: name})
	}
	return specs
}

// refused is what to report instead of a result that was rejected.
func refused(no *pb.Rejection) *pb.TaskResult {
	if no == nil {
		return nil
	}
	permanent := pb.Retryability_RETRYABILITY_PERMANENT
	return failure(&pb.Failure{Code: no.Reason, Message: no.Message, Retryability: permanent})
}

func payload(json string) *pb.Payload {
	return &pb.Payload{Kind: &pb.Payload_Json{Json: json}}
}

func output(json string) *pb.TaskResult {
	return &pb.TaskResult{Outcome: &pb.TaskResult_Output{Output: payload(json)}}
}

func failure(failure *pb.Failure) *pb.TaskResult {
	return &pb.TaskResult{Outcome: &pb.TaskResult_Failure{Failure: failure}}
}

func notYet() *pb.TaskResult {
	return failure(&pb.Failure{
		Code:         "NOT_YET",
		Message:      "try again",
		Retryability: pb.Retryability_RETRYABILITY_RETRYABLE,
		RetryDelay:   durationpb.New(100 * time.Millisecond),
	})
}

func sleep(t *task, seconds float64) {
	select {
	case <-t.ctx.Done():
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	}
}
