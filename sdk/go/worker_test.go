package starflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starflow/starflow-go"
)

type chargeRequest struct {
	Order string `json:"order"`
	Cents int    `json:"cents"`
}

type receipt struct {
	ID string `json:"id"`
}

func echo(_ context.Context, req any) (any, error) { return req, nil }

func TestAFunctionTakesAndReturnsItsTypes(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "payments.charge", func(_ context.Context, req chargeRequest) (receipt, error) {
			return receipt{fmt.Sprintf("%s/%d", req.Order, req.Cents)}, nil
		})
		begin(t, worker)

		run := start(t, client, calls("payments.charge"), chargeRequest{"A-1", 4200})

		equal(t, result[receipt](t, run), receipt{"A-1/4200"})
	})
}

func TestAFunctionKnowsItsTask(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.task", func(ctx context.Context, _ struct{}) ([]string, error) {
			task := starflow.TaskFrom(ctx)
			_, bounded := ctx.Deadline()
			return []string{task.RunID, task.ID, task.Function, fmt.Sprint(task.Attempt, task.CallVersion, bounded), task.Headers["traceparent"]}, nil
		})
		begin(t, worker)

		run := start(t, client, calls("test.task"), 1)

		got := result[[]string](t, run)
		equal(t, got[0], run.ID)
		equal(t, got[1] != "", true)
		equal(t, got[2], "test.task")
		equal(t, got[3], "1 2 true")
	})
}

func TestValuesPassThroughAWorkerAsTheyAre(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.any", echo)
		starflow.Register(worker, "test.raw", func(_ context.Context, req json.RawMessage) (json.RawMessage, error) { return req, nil })
		starflow.Register(worker, "test.add", func(_ context.Context, n *big.Int) (*big.Int, error) { return n.Add(n, big.NewInt(1)), nil })
		starflow.Register(worker, "test.half", func(_ context.Context, n float64) (float64, error) { return n / 2, nil })
		begin(t, worker)

		for _, text := range []string{"null", "1", "1.0", `"grüße 🌍 <&>"`, "123456789012345678901234567890", `{"a":[1.5,{}]}`} {
			for _, function := range []string{"test.any", "test.raw"} {
				run := start(t, client, calls(function), json.RawMessage(text))
				equal(t, string(result[json.RawMessage](t, run)), text)
			}
		}
		run := start(t, client, calls("test.add"), json.RawMessage("123456789012345678901234567890"))
		equal(t, string(result[json.RawMessage](t, run)), "123456789012345678901234567891")
		run = start(t, client, calls("test.half"), 4)
		equal(t, string(result[json.RawMessage](t, run)), "2.0")
	})
}

func TestAFunctionFailsWithWhatItSays(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		var attempts atomic.Int32
		fail := func(name string, err error, options ...starflow.FunctionOption) {
			starflow.Register(worker, name, func(context.Context, struct{}) (any, error) {
				attempts.Add(1)
				return nil, err
			}, options...)
		}
		retry := starflow.Retry{MaxAttempts: 3, Initial: time.Millisecond}
		declined := starflow.Permanent(errors.New("no money"), "CARD_DECLINED").WithDetails(map[string]int{"missing": 5})
		fail("bad.permanent", declined, retry)
		fail("bad.wrapped", fmt.Errorf("while paying: %w", declined), retry)
		fail("bad.plain", fmt.Errorf("reading: %w", &json.SyntaxError{}))
		fail("bad.policy", errors.New("again"), retry)
		fail("bad.excluded", starflow.Failed(errors.New("no"), "NEVER"), starflow.Retry{NonRetryable: []string{"NEVER"}})
		fail("bad.retryable", starflow.Retryable(errors.New("later"), "LATER").WithDelay(time.Millisecond))
		begin(t, worker)

		for _, test := range []struct {
			function, code, message string
			attempts                int32
		}{
			{"bad.permanent", "CARD_DECLINED", "no money", 1},
			{"bad.wrapped", "CARD_DECLINED", "while paying: CARD_DECLINED: no money", 1},
			{"bad.plain", "SYNTAX_ERROR", "reading: ", 1},
			{"bad.policy", "ERROR", "again", 3},
			{"bad.excluded", "NEVER", "no", 1},
			{"bad.retryable", "LATER", "later", 3},
		} {
			attempts.Store(0)
			why := failure(t, start(t, client, calls(test.function), nil))
			equal(t, why.Code, test.code)
			if !strings.Contains(why.Message, test.message) {
				t.Errorf("%s: %s", test.function, why.Message)
			}
			equal(t, attempts.Load(), test.attempts)
		}
		why := failure(t, start(t, client, calls("bad.permanent"), nil))
		equal(t, string(why.Details), `{"missing":5}`)
	})
}

func TestWhatAFunctionDoesWrongIsAFailure(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "wrong.panic", func(context.Context, any) (any, error) { panic("oh") })
		starflow.Register(worker, "wrong.goexit", func(context.Context, any) (any, error) { runtime.Goexit(); return nil, nil })
		starflow.Register(worker, "wrong.input", func(context.Context, []string) (any, error) { return nil, nil })
		starflow.Register(worker, "wrong.output", func(context.Context, any) (any, error) { return make(chan int), nil })
		starflow.Register(worker, "wrong.large", func(context.Context, any) (any, error) { return strings.Repeat("x", 2<<20), nil })
		// Valid for us, and not for the service, which refuses the result.
		starflow.Register(worker, "wrong.keys", func(context.Context, any) (any, error) { return json.RawMessage(`{"a":1,"a":2}`), nil })
		begin(t, worker)

		for function, code := range map[string]string{
			"wrong.panic":  "PANIC",
			"wrong.goexit": "GOEXIT",
			"wrong.input":  "BAD_INPUT",
			"wrong.output": "BAD_OUTPUT",
			"wrong.large":  "OUTPUT_TOO_LARGE",
			"wrong.keys":   "RESULT_REJECTED",
		} {
			why := failure(t, start(t, client, calls(function), 7))
			equal(t, why.Code, code)
		}
		run := start(t, client, calls("wrong.panic"), 7)
		returned := failureIn(t, run)
		equal(t, strings.Contains(returned.StackTrace, "worker_test.go"), true)
	})
}

// failureIn returns the failure of the run's RETURN event.
func failureIn(t *testing.T, run *starflow.Run) *starflow.Failure {
	t.Helper()
	failure(t, run)
	for _, event := range events(t, run) {
		if event.Type == starflow.EventReturn {
			return event.Failure
		}
	}
	t.Fatal("there is no RETURN")
	return nil
}

func TestACallThatYieldsGetsItsSignal(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		ids := make(chan string, 1)
		starflow.Register(worker, "desk.ask", func(ctx context.Context, _ struct{}) (any, error) {
			ids <- starflow.TaskFrom(ctx).SignalID
			return nil, starflow.WaitForSignal(0)
		})
		starflow.Register(worker, "desk.expire", func(context.Context, struct{}) (any, error) {
			return nil, starflow.WaitForSignal(time.Millisecond)
		})
		begin(t, worker)

		run := start(t, client, calls("desk.ask"), nil)
		id := arrives(t, ids, "the signal id")
		var yielded *starflow.RunYieldedError
		if err := run.Result(patient(t), nil); !errors.As(err, &yielded) {
			t.Fatalf("got %v", err)
		}
		equal(t, slices.Equal(yielded.SignalIDs, []string{id}), true)
		if _, err := run.Signal(patient(t), id, map[string]bool{"approved": true}); err != nil {
			t.Fatal(err)
		}
		equal(t, result[map[string]bool](t, run)["approved"], true)
		_, err := run.Signal(patient(t), id, "other")
		equal(t, errors.Is(err, starflow.ErrSignalConflict), true)

		expired := start(t, client, calls("desk.expire"), nil)
		err = expired.Result(patient(t), nil, starflow.ThroughYields())
		var failed *starflow.RunFailedError
		equal(t, errors.As(err, &failed), true)
		equal(t, failed.Failure.Kind, "TIMEOUT")
	})
}

func TestTheNextAttemptSeesTheProgressOfTheLast(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.progress", func(ctx context.Context, _ struct{}) (any, error) {
			task := starflow.TaskFrom(ctx)
			if task.Attempt > 1 {
				return []any{task.LastProgress, task.LastFailure.Code}, nil
			}
			if err := task.Progress(map[string]int{"page": 7}); err != nil {
				return nil, err
			}
			return nil, starflow.Retryable(errors.New("on to the next"), "NOT_YET").WithDelay(time.Millisecond)
		})
		begin(t, worker)

		run := start(t, client, calls("test.progress"), nil)

		equal(t, string(result[json.RawMessage](t, run)), `[{"page":7},"NOT_YET"]`)
	})
}

func TestAFunctionStopsWhenItsRunIsCancelled(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		began, ended := make(chan struct{}), make(chan error, 1)
		starflow.Register(worker, "test.long", func(ctx context.Context, _ struct{}) (any, error) {
			close(began)
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, ctx.Err()
		})
		begin(t, worker)
		run := start(t, client, calls("test.long"), nil)
		arrives(t, began, "the task")

		if _, err := run.Cancel(patient(t), "enough"); err != nil {
			t.Fatal(err)
		}

		cause := arrives(t, ended, "the end of the function")
		equal(t, errors.Is(cause, starflow.ErrNotWanted) || errors.Is(cause, starflow.ErrAbandoned), true)
		equal(t, errors.Is(run.Result(patient(t), nil), starflow.ErrRunCancelled), true)
	})
}

func TestAnAttemptThatTakesTooLongIsStopped(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		ended := make(chan error, 1)
		starflow.Register(worker, "test.long", func(ctx context.Context, _ struct{}) (any, error) {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, nil
		}, starflow.AttemptTimeout(200*time.Millisecond))
		begin(t, worker)

		run := start(t, client, calls("test.long"), nil)

		equal(t, failure(t, run).Kind, "TIMEOUT")
		arrives(t, ended, "the end of the function")
	})
}

func TestACallEndsWhenItsFunctionsTimeIsOver(t *testing.T) {
	client := namespaced(t)
	worker := starflow.NewWorker(client)
	attempted := make(chan struct{}, 1)
	starflow.Register(worker, "test.reach", func(context.Context, struct{}) (any, error) {
		attempted <- struct{}{}
		return nil, errors.New("not now")
	}, starflow.Retry{Initial: time.Hour}, starflow.CallTimeout(500*time.Millisecond), starflow.Queue("slow"))
	begin(t, worker)

	run := start(t, client, calls("test.reach"), nil)

	arrives(t, attempted, "the first attempt")
	equal(t, failure(t, run).Kind, "TIMEOUT")
}

func TestNoMoreTasksThanTheConcurrencyRunAtATime(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		// Less in one answer than may run at a time.
		server := newServer(t, "--max-poll-tasks", "2")
		client := newClient(t, server)
		worker := starflow.NewWorker(client, append(options, starflow.Concurrency(5))...)
		var running, most atomic.Int32
		arrived, leave := make(chan struct{}, 100), make(chan struct{})
		starflow.Register(worker, "test.meet", func(context.Context, struct{}) (any, error) {
			now := running.Add(1)
			defer running.Add(-1)
			for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
			}
			arrived <- struct{}{}
			<-leave
			return nil, nil
		})
		begin(t, worker)

		var runs []*starflow.Run
		for range 30 {
			runs = append(runs, start(t, client, calls("test.meet"), nil))
		}
		for range 5 { // they meet, so as many as may run do run
			arrives(t, arrived, "five tasks at a time")
		}
		close(leave)

		for _, run := range runs {
			result[any](t, run)
		}
		equal(t, most.Load(), 5)
	})
}

func TestAThousandTasksAreExecutedOnceEach(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		var seen sync.Map
		var executed atomic.Int32
		starflow.Register(worker, "test.square", func(ctx context.Context, n int) (int, error) {
			executed.Add(1)
			seen.Store(starflow.TaskFrom(ctx).ID, true)
			return n * n, nil
		})
		begin(t, worker)
		script := "load('flow', 'map')\n" +
			"def main(ctx, input):\n    return map(ctx, test.square, list(range(input)), max_concurrency=200)\n"

		run := start(t, client, script, 1000)

		squares := result[[]int](t, run)
		equal(t, len(squares), 1000)
		for n, square := range squares {
			equal(t, square, n*n)
		}
		distinct := 0
		seen.Range(func(any, any) bool { distinct++; return true })
		equal(t, distinct, 1000)
		equal(t, executed.Load(), 1000)
	})
}

func TestTasksOutlastTheDeathOfTheServer(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t)
		client := newClient(t, server, starflow.Patience(patience))
		worker := starflow.NewWorker(client, options...)
		began, leave := make(chan int, 10), make(chan struct{})
		starflow.Register(worker, "test.hold", func(ctx context.Context, n int) (int, error) {
			began <- starflow.TaskFrom(ctx).Attempt
			<-leave
			return n + 1, nil
		})
		starflow.Register(worker, "test.next", func(_ context.Context, n int) (int, error) { return n + 1, nil })
		begin(t, worker)
		script := "def main(ctx, input):\n    return test.next(ctx=ctx, req=test.hold(ctx=ctx, req=input))\n"
		run := start(t, client, script, 1)
		arrives(t, began, "the task")

		server.kill()
		server.mustStart(t)
		// What was begun in one life of the server is reported in the next.
		close(leave)

		equal(t, result[int](t, run), 3)
		equal(t, len(began), 0) // and nobody else had to begin it
	})
}

func TestAnIdleWorkerOutlastsTheDeathOfTheServer(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t)
		client := newClient(t, server, starflow.Patience(patience))
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.echo", echo)
		begin(t, worker)
		for n := range 3 {
			server.kill()
			server.mustStart(t)

			equal(t, result[int](t, start(t, client, calls("test.echo"), n)), n)
		}
	})
}

func TestAnIdleWorkerIsNotForgotten(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t, "--lease", "1s")
		client := newClient(t, server)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.echo", echo)
		begin(t, worker)

		result[any](t, start(t, client, rests, nil)) // longer than a lease

		equal(t, result[int](t, start(t, client, calls("test.echo"), 1)), 1)
	})
}

func TestAWorkerThatIsToldToEndLetsItsFunctionsEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		began, leave := make(chan struct{}), make(chan struct{})
		starflow.Register(worker, "test.hold", func(ctx context.Context, _ struct{}) (string, error) {
			close(began)
			<-leave
			return "done", ctx.Err() // the end of Run's context is not that of the function's
		})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- worker.Run(ctx) }()
		run := start(t, client, calls("test.hold"), nil, starflow.AllowUnregistered())
		arrives(t, began, "the task")

		cancel()
		close(leave)

		equal(t, arrives(t, ended, "the end of the worker"), nil)
		equal(t, result[string](t, run), "done")
	})
}

func TestAWorkerGivesBackWhatDoesNotEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		first := starflow.NewWorker(client, append(options, starflow.Grace(time.Millisecond))...)
		began, causes := make(chan struct{}, 2), make(chan error, 1)
		starflow.Register(first, "test.hold", func(ctx context.Context, _ struct{}) (string, error) {
			began <- struct{}{}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return "never seen", nil
		})
		if err := first.Start(patient(t)); err != nil {
			t.Fatal(err)
		}
		run := start(t, client, calls("test.hold"), nil)
		arrives(t, began, "the task")

		first.Stop()
		equal(t, first.Wait(), nil)

		equal(t, arrives(t, causes, "the function's end"), error(starflow.ErrShutdown))
		second := starflow.NewWorker(client, options...)
		starflow.Register(second, "test.hold", func(ctx context.Context, _ struct{}) (int, error) {
			return starflow.TaskFrom(ctx).Attempt, nil
		})
		begin(t, second)
		equal(t, result[int](t, run), 1) // what is given back does not count
	})
}

func TestASecondStopEndsTheGrace(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, append(options, starflow.Grace(time.Hour))...)
		began := make(chan struct{})
		starflow.Register(worker, "test.hold", func(ctx context.Context, _ struct{}) (any, error) {
			close(began)
			<-ctx.Done()
			return nil, nil
		})
		if err := worker.Start(patient(t)); err != nil {
			t.Fatal(err)
		}
		start(t, client, calls("test.hold"), nil)
		arrives(t, began, "the task")

		worker.Stop()
		worker.Stop()

		ended := make(chan error, 1)
		go func() { ended <- worker.Wait() }()
		equal(t, arrives(t, ended, "the end of the worker"), nil)
	})
}

func TestAWorkerWaitsForAServer(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t)
		client := newClient(t, server, starflow.Patience(patience))
		server.kill()
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.echo", echo)
		started := make(chan error, 1)
		go func() { started <- worker.Start(patient(t)) }()

		server.mustStart(t)

		equal(t, arrives(t, started, "the start of the worker"), nil)
		worker.Stop()
		equal(t, worker.Wait(), nil)
	})
}

func TestAWorkerThatNeverFoundAServerEndsAllTheSame(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client, err := starflow.NewClient("127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.echo", echo)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()

		equal(t, worker.Run(ctx), nil)
	})
}

func TestAWorkerThatIsRefusedSaysWhy(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := newClient(t, shared, starflow.Namespace("Not A Namespace"))
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.echo", echo)

		equal(t, errors.Is(worker.Run(patient(t)), starflow.ErrInvalidRequest), true)
	})
}

func TestAWorkerThatSomebodyDrainsEnds(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.echo", echo)
		if err := worker.Start(patient(t)); err != nil {
			t.Fatal(err)
		}

		if _, err := client.DrainWorker(patient(t), worker.ID()); err != nil {
			t.Fatal(err)
		}

		ended := make(chan error, 1)
		go func() { ended <- worker.Wait() }()
		equal(t, arrives(t, ended, "the end of the worker"), nil)
	})
}

func TestWhatCannotBeRegisteredPanics(t *testing.T) {
	client := newClient(t, shared)
	for _, name := range []string{"", "charge", "payments.", "payments.charge card", "1.2", "payments.charge"} {
		worker := starflow.NewWorker(client)
		starflow.Register(worker, "payments.charge", echo)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", name)
				}
			}()
			starflow.Register(worker, name, echo)
		}()
	}
}

func TestAWorkerThatCannotRunSaysWhy(t *testing.T) {
	client := newClient(t, shared)
	if err := starflow.NewWorker(client).Run(patient(t)); err == nil {
		t.Error("a worker without functions ran")
	}
	worker := starflow.NewWorker(client, starflow.Concurrency(0))
	starflow.Register(worker, "test.echo", echo)
	if err := worker.Run(patient(t)); err == nil {
		t.Error("a worker without a slot ran")
	}
}

func TestAFunctionCanBeTestedWithoutAWorker(t *testing.T) {
	ctx := starflow.WithTask(context.Background(), &starflow.Task{Attempt: 2})
	equal(t, starflow.TaskFrom(ctx).Attempt, 2)
	equal(t, starflow.TaskFrom(context.Background()).Attempt, 0)
	if err := starflow.TaskFrom(ctx).Heartbeat("here"); err != nil {
		t.Error(err)
	}
}
