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
	stop     context.CancelFunc
	progress atomic.Pointer[pb.Payload] // for the next attempt, if there is one
}

// What a function gets: its context ends when the task is to be abandoned.
type function func(ctx context.Context, t *task, in input) *pb.TaskResult

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
	"check.echo": func(_ context.Context, t *task, _ input) *pb.TaskResult {
		return output(t.Input.GetJson())
	},
	"check.fail": func(_ context.Context, _ *task, in input) *pb.TaskResult {
		retryability := pb.Retryability(pb.Retryability_value["RETRYABILITY_"+in.Retryability])
		return failure(&pb.Failure{Code: in.Code, Message: in.Message, Retryability: retryability, Details: payload(string(in.Details))})
	},
	"check.flaky": func(_ context.Context, t *task, in input) *pb.TaskResult {
		if t.Attempt < in.SucceedAt {
			return notYet()
		}
		return output(strconv.Itoa(int(t.Attempt)))
	},
	"check.sleep": func(ctx context.Context, _ *task, in input) *pb.TaskResult {
		sleep(ctx, in.Seconds)
		return output(`"slept"`)
	},
	"check.wait": func(context.Context, *task, input) *pb.TaskResult {
		return &pb.TaskResult{Outcome: &pb.TaskResult_WaitForSignal{WaitForSignal: &pb.Yield{}}}
	},
	"check.large": func(_ context.Context, _ *task, in input) *pb.TaskResult {
		return output(`"` + strings.Repeat("x", in.Bytes) + `"`)
	},
	"check.progress": func(ctx context.Context, t *task, _ input) *pb.TaskResult {
		if t.Attempt > 1 {
			return output(t.LastProgress.GetJson())
		}
		t.progress.Store(payload(`{"step": 1}`)) // travels with the next heartbeat
		sleep(ctx, 1)
		return notYet()
	},
}

func execute(ctx context.Context, t *task) *pb.TaskResult {
	call, ours := functions[t.Function]
	if !ours {
		return failure(&pb.Failure{Code: "NOT_OFFERED", Message: "this worker does not offer " + t.Function})
	}
	var in input
	_ = json.Unmarshal([]byte(t.Input.GetJson()), &in) // check.echo takes what is no object, too
	return call(ctx, t, in)
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

func sleep(ctx context.Context, seconds float64) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	}
}
