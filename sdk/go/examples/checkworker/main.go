// The functions of `starflow worker-check`, on the Go SDK; docs/worker-check.md says what
// they do.
//
//	starflow worker-check -- checkworker
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strings"
	"time"

	"github.com/starflow/starflow-go"
)

type fails struct {
	Code, Message, Retryability string
	Details                     json.RawMessage
}

func echo(_ context.Context, req json.RawMessage) (json.RawMessage, error) {
	return req, nil
}

func fail(_ context.Context, req fails) (any, error) {
	failure := starflow.Failed(errors.New(req.Message), req.Code).WithDetails(req.Details)
	switch req.Retryability {
	case "PERMANENT":
		failure.Retryability = starflow.RetryabilityPermanent
	case "RETRYABLE":
		failure.Retryability = starflow.RetryabilityRetryable
	}
	return nil, failure
}

func notYet() error {
	return starflow.Retryable(errors.New("try again"), "NOT_YET").WithDelay(100 * time.Millisecond)
}

func flaky(ctx context.Context, req struct {
	SucceedAt int `json:"succeed_at"`
}) (int, error) {
	attempt := starflow.TaskFrom(ctx).Attempt
	if attempt < req.SucceedAt {
		return 0, notYet()
	}
	return attempt, nil
}

func sleep(ctx context.Context, req struct{ Seconds float64 }) (string, error) {
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-time.After(time.Duration(req.Seconds * float64(time.Second))):
		return "slept", nil
	}
}

func wait(context.Context, struct{}) (any, error) {
	return nil, starflow.WaitForSignal(0)
}

func large(_ context.Context, req struct{ Bytes int }) (string, error) {
	return strings.Repeat("x", req.Bytes), nil
}

func progress(ctx context.Context, _ struct{}) (json.RawMessage, error) {
	task := starflow.TaskFrom(ctx)
	if task.Attempt > 1 {
		return task.LastProgress, nil
	}
	if err := task.Heartbeat(map[string]int{"step": 1}); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	return nil, notYet()
}

func main() {
	address := os.Getenv("STARFLOW_ADDRESS")
	if address == "" {
		address = starflow.DefaultAddress
	}
	client, err := starflow.NewClient(address)
	if err != nil {
		log.Fatal(err)
	}
	var options []starflow.WorkerOption
	if len(os.Args) > 1 && os.Args[1] == "unary" {
		options = append(options, starflow.Unary())
	}
	worker := starflow.NewWorker(client, options...)
	starflow.Register(worker, "check.echo", echo)
	starflow.Register(worker, "check.fail", fail)
	starflow.Register(worker, "check.flaky", flaky)
	starflow.Register(worker, "check.sleep", sleep)
	starflow.Register(worker, "check.wait", wait)
	starflow.Register(worker, "check.large", large)
	starflow.Register(worker, "check.progress", progress)
	if err := worker.RunUntilSignal(context.Background()); err != nil {
		log.Fatal(err)
	}
}
