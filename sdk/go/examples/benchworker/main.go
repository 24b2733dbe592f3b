// The functions of the benchmarks, as benchmarks/worker.py has them in Python.
//
//	benchworker ADDRESS CONCURRENCY JOURNAL [unary]
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/starflow/starflow-go"
)

func echo(_ context.Context, req any) (any, error) {
	return req, nil
}

func park(context.Context, struct{}) (any, error) {
	return nil, starflow.WaitForSignal(0)
}

// slow notes in the journal that it was executed, and returns the request after a while.
func slow(journal *os.File) func(context.Context, json.RawMessage) (json.RawMessage, error) {
	return func(ctx context.Context, req json.RawMessage) (json.RawMessage, error) {
		var told struct{ Ms int }
		if err := starflow.Decode(req, &told); err != nil {
			return nil, err
		}
		// Kept through a kill -9: a line is one write.
		if _, err := journal.WriteString(starflow.TaskFrom(ctx).ID + "\n"); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(told.Ms) * time.Millisecond):
			return req, nil
		}
	}
}

func main() {
	concurrency, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	journal, err := os.OpenFile(os.Args[3], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	client, err := starflow.NewClient(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	options := []starflow.WorkerOption{starflow.Concurrency(concurrency)}
	if len(os.Args) > 4 && os.Args[4] == "unary" {
		options = append(options, starflow.Unary())
	}
	worker := starflow.NewWorker(client, options...)
	starflow.Register(worker, "bench.echo", echo)
	starflow.Register(worker, "bench.echo_plain", echo)
	starflow.Register(worker, "bench.slow", slow(journal))
	starflow.Register(worker, "bench.park", park)
	if err := worker.RunUntilSignal(context.Background()); err != nil {
		log.Fatal(err)
	}
}
