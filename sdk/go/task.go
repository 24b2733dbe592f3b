package starflow

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// Task is one attempt of one call, as its function may see it: [TaskFrom] its context.
type Task struct {
	// RunID is the run that called.
	RunID string
	// ID names the call, the same for all its attempts. Use it as the idempotency key
	// towards other systems: a worker that dies after it did the work, and before it said
	// so, is followed by another attempt.
	ID string
	// Attempt is the number of this attempt, from 1.
	Attempt int
	// Function is the dotted name that the script called.
	Function string
	// CallVersion is the version of the CALL event in the run's log, and CallTime its time.
	CallVersion int
	CallTime    time.Time
	// SignalID is the signal to hand to the outside world before returning
	// [WaitForSignal]. It is valid already, and the same for all attempts; a signal that
	// comes before the function has returned is kept.
	SignalID string
	// LastProgress is what an earlier attempt reported last; nil if none did.
	LastProgress json.RawMessage
	// LastFailure is why the last attempt failed; nil if none did.
	LastFailure *Failure
	// Headers are the context that the run was started with, such as traceparent.
	Headers map[string]string

	log      *slog.Logger
	beatSoon func()
	// The JSON text of the progress that the service has not been told yet.
	unsent atomic.Pointer[string]
}

type taskKey struct{}

// TaskFrom returns the task that a function executes, by the function's context; an empty
// one in a context that no worker made.
func TaskFrom(ctx context.Context) *Task {
	if task, ok := ctx.Value(taskKey{}).(*Task); ok {
		return task
	}
	return &Task{}
}

// WithTask returns a context with a task, in order to test a function without a worker.
func WithTask(ctx context.Context, task *Task) context.Context {
	return context.WithValue(ctx, taskKey{}, task)
}

func newTask(delivered *pb.Task, log *slog.Logger, beatSoon func()) *Task {
	return &Task{
		RunID:        delivered.RunId,
		ID:           delivered.TaskId,
		Attempt:      int(delivered.Attempt),
		Function:     delivered.Function,
		CallVersion:  int(delivered.CallVersion),
		CallTime:     timeOf(delivered.CallTime),
		SignalID:     delivered.SignalId,
		LastProgress: rawValue(delivered.LastProgress),
		LastFailure:  failureFrom(delivered.LastFailure),
		Headers:      delivered.Headers,
		log:          log,
		beatSoon:     beatSoon,
	}
}

// Progress records how far this attempt is; the next attempt sees it as LastProgress. It
// travels with the next heartbeat, and only the newest one does, so that this may be
// called often. It fails with a [ConversionError] if value has no JSON form.
func (t *Task) Progress(value any) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	t.unsent.Store(&text)
	return nil
}

// Heartbeat records value as [Task.Progress] does, and tells the service now. Leases are
// renewed without it: it is for a function that wants to hear sooner whether to stop.
func (t *Task) Heartbeat(value any) error {
	err := t.Progress(value)
	if err == nil && t.beatSoon != nil {
		t.beatSoon()
	}
	return err
}

// Log returns a logger whose records carry run_id, task_id, function and attempt.
func (t *Task) Log() *slog.Logger {
	log := t.log
	if log == nil {
		log = slog.Default()
	}
	return log.With("run_id", t.RunID, "task_id", t.ID, "function", t.Function, "attempt", t.Attempt)
}
