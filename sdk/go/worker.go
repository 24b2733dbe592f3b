package starflow

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// WorkerOption is something that [NewWorker] can be told.
type WorkerOption func(*Worker)

// Concurrency is how many tasks are executed at a time; 64 unless given.
func Concurrency(most int) WorkerOption {
	return func(w *Worker) { w.slots = most }
}

// Grace is how long functions under way may take when the worker is told to end, before
// their tasks are given back; 20 s unless given.
func Grace(most time.Duration) WorkerOption {
	return func(w *Worker) { w.grace = most }
}

// BuildID says which build runs, for people.
func BuildID(id string) WorkerOption {
	return func(w *Worker) { w.buildID = id }
}

// WorkerLabels are free labels, for people.
func WorkerLabels(labels map[string]string) WorkerOption {
	return func(w *Worker) { w.labels = labels }
}

// Unary polls, reports and sends heartbeats by single requests, also where the service
// offers a stream: for networks that do not bear long streams.
func Unary() WorkerOption {
	return func(w *Worker) { w.unary = true }
}

// Worker executes functions for the runs of its client's namespace. [Register] them, and
// then [Worker.Run]. A worker runs once.
type Worker struct {
	client  *Client
	id      string
	slots   int
	grace   time.Duration
	buildID string
	labels  map[string]string
	unary   bool

	mu        sync.Mutex
	functions map[string]*function
	begun     bool
	stops     int

	stopping   chan struct{} // closed by the first Stop
	hurrying   chan struct{} // closed by the second
	registered chan struct{} // closed when the service knows the worker
	done       chan struct{} // closed at the end, when err is set
	err        error
}

// NewWorker returns a worker without functions.
func NewWorker(client *Client, options ...WorkerOption) *Worker {
	worker := &Worker{
		client:     client,
		id:         newWorkerID(),
		slots:      64,
		grace:      20 * time.Second,
		functions:  map[string]*function{},
		stopping:   make(chan struct{}),
		hurrying:   make(chan struct{}),
		registered: make(chan struct{}),
		done:       make(chan struct{}),
	}
	for _, option := range options {
		option(worker)
	}
	return worker
}

// newWorkerID returns an id that no other worker ever had.
func newWorkerID() string {
	host, _ := os.Hostname()
	random := make([]byte, 6)
	_, _ = rand.Read(random) // it never fails
	host = cmp.Or(clip(host, 64), "unknown")
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), hex.EncodeToString(random))
}

// ID returns the worker's id, different for every worker ever made.
func (w *Worker) ID() string { return w.id }

// Run executes tasks until ctx ends or somebody calls [Worker.Stop], and then drains: it
// takes no more tasks, waits for those under way, reports, and gives back what has not
// ended within the [Grace]. While the service cannot be reached it keeps trying.
//
// The contexts of functions have the values of ctx, but do not end with it. The error is
// nil after a drain, and [ErrInvalidRequest] if the service refuses the worker.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	return w.Wait()
}

// RunUntilSignal does as [Worker.Run], and drains on SIGTERM or an interrupt, too. A second
// signal ends the grace.
func (w *Worker) RunUntilSignal(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	for {
		select {
		case <-signals:
			w.Stop()
		case <-w.done:
			return w.err
		}
	}
}

// Start does as [Worker.Run] in the background. It returns when the service knows the
// worker, or with the reason why that will not be. [Worker.Wait] tells of the end.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	select {
	case <-w.registered:
		return nil
	case <-w.done:
		return cmp.Or(w.err, error(ErrShutdown))
	}
}

// Wait waits for the end of a worker that was started, and returns what [Worker.Run] would.
func (w *Worker) Wait() error {
	<-w.done
	return w.err
}

// Stop begins to drain, and does not wait for the end. Called again it ends the grace.
func (w *Worker) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stops++
	switch w.stops {
	case 1:
		close(w.stopping)
	case 2:
		close(w.hurrying)
	}
}

// drained begins to drain because the service says so; that does not end the grace.
func (w *Worker) drained() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stops == 0 {
		w.stops++
		close(w.stopping)
	}
}

func (w *Worker) begin(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.begun:
		return errors.New("starflow: a worker runs once; make a new one")
	case len(w.functions) == 0:
		return errors.New("starflow: the worker has no functions; register some")
	case w.slots < 1:
		return fmt.Errorf("starflow: the concurrency is %d, but 1 is the least", w.slots)
	}
	w.begun = true
	go func() {
		defer close(w.done)
		defer context.AfterFunc(ctx, w.drained)()
		w.err = newSession(w, context.WithoutCancel(ctx)).run()
	}()
	return nil
}

func (w *Worker) hello() *pb.RegisterFunctionRequest {
	request := &pb.RegisterFunctionRequest{
		Namespace: w.client.options.namespace,
		Worker: &pb.WorkerInfo{
			WorkerId:       w.id,
			Sdk:            "starflow-go/" + Version,
			BuildId:        w.buildID,
			Labels:         w.labels,
			MaxConcurrency: int32(w.slots),
		},
	}
	for _, name := range slices.Sorted(maps.Keys(w.functions)) {
		request.Functions = append(request.Functions, w.functions[name].spec)
	}
	return request
}
