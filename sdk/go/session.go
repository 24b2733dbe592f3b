package starflow

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/starflow/starflow-go/starflowv1"
)

const (
	// What functions that were told to stop get for their clean-up, and the last results
	// for their way.
	cleanUpTime = time.Second
	flushTime   = 5 * time.Second
	// A restarted server holds tasks back for a second for those who had them, so who
	// works tries more often than who only asks.
	workerPauseMax = 500 * time.Millisecond
	answerTime     = 10 * time.Second

	streamCapability = "worker-stream"
)

// session is everything that lives between the start and the end of [Worker.Run].
//
//	transport --tasks--> session --> a goroutine per task
//	    ^                               |
//	    +---------- ledger <--result----+
//
// The ledger knows every task from its delivery until the service has answered its
// result. All that time heartbeats name it as held: a result that waits for a server to
// come back must not be executed a second time by somebody else.
type session struct {
	worker *Worker
	client *Client
	log    *slog.Logger
	ledger *ledger
	hello  *pb.RegisterFunctionRequest
	// The parent of the contexts of all functions.
	ctx context.Context

	outputBytesMax int
	pollTasksMax   int
	heartbeat      atomic.Int64 // the interval, a time.Duration
}

// transport is a way to get tasks and to report on them.
type transport interface {
	// start returns when the service knows the worker, or will not. It gives up when ctx
	// ends.
	start(ctx context.Context) error
	// stopTaking lets no more tasks come. Those that come all the same are given back.
	stopTaking()
	// beatSoon sends a heartbeat now, and not at the end of the interval.
	beatSoon()
	// close reports what is left for as long as ctx lets it, and ends.
	close(ctx context.Context)
}

func newSession(worker *Worker, ctx context.Context) *session {
	made := &session{
		worker: worker,
		client: worker.client,
		log:    worker.client.log.With("worker_id", worker.id),
		ledger: newLedger(worker.slots),
		hello:  worker.hello(),
		ctx:    ctx,
	}
	made.heartbeat.Store(int64(5 * time.Second))
	return made
}

func (s *session) run() error {
	starting, cancel := s.untilStopping()
	defer cancel()
	chosen, err := s.connect(starting)
	if err != nil {
		if starting.Err() != nil {
			return nil // told to stop before anything was taken
		}
		return err
	}
	s.log.Info("starflow: registered")
	close(s.worker.registered)
	<-s.worker.stopping
	s.drain(chosen)
	return nil
}

// untilStopping returns a context that ends when the worker is told to stop.
func (s *session) untilStopping() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-s.worker.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// connect makes the worker known, however long the service is away.
func (s *session) connect(ctx context.Context) (transport, error) {
	info, err := s.serverInfo(ctx)
	if err != nil {
		return nil, err
	}
	s.outputBytesMax = info.Limits.MaxPayloadBytes
	s.pollTasksMax = info.Limits.MaxPollTasks
	if slices.Contains(info.Capabilities, streamCapability) && !s.worker.unary {
		chosen := newStreaming(s)
		if err := chosen.start(ctx); !isUnimplemented(err) {
			return chosen, err
		}
		s.log.Warn("starflow: something on the way to the service knows no streams")
	}
	chosen := newPolling(s)
	return chosen, chosen.start(ctx)
}

func isUnimplemented(err error) bool {
	var failed *RequestError
	return errors.As(err, &failed) && failed.Status == codes.Unimplemented
}

func (s *session) serverInfo(ctx context.Context) (*ServerInfo, error) {
	request := &pb.GetServerInfoRequest{}
	response, err := call(ctx, s.client, s.client.workflows.GetServerInfo, request, 0, forever)
	if err != nil {
		return nil, err
	}
	return serverInfoFrom(response), nil
}

// welcome takes over what the service says to a registration.
func (s *session) welcome(response *pb.RegisterFunctionResponse) {
	if interval := response.HeartbeatInterval.AsDuration(); interval > 0 {
		s.heartbeat.Store(int64(interval))
	}
	if len(response.ReplacedFunctions) > 0 {
		s.log.Warn("starflow: replaced the specification of another worker", "functions", response.ReplacedFunctions)
	}
}

func (s *session) interval() time.Duration {
	return time.Duration(s.heartbeat.Load())
}

// begin executes tasks.
func (s *session) begin(tasks []*heldTask) {
	for _, held := range tasks {
		go execute(held, s.outputBytesMax, func(result *pb.TaskResult) {
			s.ledger.finish(held, result)
			held.stop(nil)
		})
	}
}

// refuse gives tasks back unexecuted.
func (s *session) refuse(tasks []*heldTask) {
	for _, held := range tasks {
		s.ledger.finish(held, released(held.token, leaving))
		held.stop(nil)
	}
}

// hold begins to hold tasks that were just delivered.
func (s *session) hold(tasks []*pb.Task, chosen transport) []*heldTask {
	all := make([]*heldTask, 0, len(tasks))
	for _, task := range tasks {
		called, ok := s.worker.functions[task.Function]
		if !ok {
			called = unknownFunction(task.Function)
		}
		held := &heldTask{
			Task:     newTask(task, s.log, chosen.beatSoon),
			token:    task.TaskToken,
			input:    task.Input,
			function: called,
		}
		held.ctx, held.stop = s.contextOf(held, task)
		all = append(all, held)
	}
	s.ledger.admit(all)
	return all
}

func (s *session) contextOf(held *heldTask, task *pb.Task) (context.Context, context.CancelCauseFunc) {
	ctx, stop := context.WithCancelCause(WithTask(s.ctx, held.Task))
	if task.AttemptTimeout == nil {
		return ctx, stop
	}
	bounded, cancel := context.WithTimeout(ctx, task.AttemptTimeout.AsDuration())
	return bounded, func(cause error) {
		stop(cause)
		cancel()
	}
}

// follow does what the service says about tasks that are held.
func (s *session) follow(directives []*pb.TaskDirective) {
	for _, directive := range directives {
		var cause error
		switch directive.Action {
		case pb.TaskAction_TASK_ACTION_ABANDON:
			cause = ErrAbandoned
		case pb.TaskAction_TASK_ACTION_CANCEL:
			cause = ErrNotWanted
		default:
			continue
		}
		if held := s.ledger.abandon(directive.TaskToken); held != nil {
			s.log.Info("starflow: a task is stopped", "task_id", held.ID, "reason", directive.Reason)
			held.stop(cause)
		}
	}
}

// answered takes over what became of a batch: only what is said in completions has not
// just been applied.
func (s *session) answered(batch []report, completions []*pb.Completion) {
	replacements := map[string]*pb.TaskResult{}
	if len(completions) > 0 {
		byToken := make(map[string]report, len(batch))
		for _, each := range batch {
			byToken[each.held.token] = each
		}
		for _, completion := range completions {
			if each, ok := byToken[completion.TaskToken]; ok {
				s.judge(each, completion, replacements)
			}
		}
	}
	s.ledger.answered(batch, replacements)
}

func (s *session) judge(each report, completion *pb.Completion, replacements map[string]*pb.TaskResult) {
	switch completion.Status {
	case pb.CompletionStatus_COMPLETION_STATUS_IGNORED:
		s.log.Info("starflow: a result came too late", "task_id", each.held.ID)
	case pb.CompletionStatus_COMPLETION_STATUS_REJECTED:
		problem := completion.Rejection.GetMessage()
		s.log.Error("starflow: the service cannot use a result", "task_id", each.held.ID, "problem", problem)
		if each.result.GetFailure().GetCode() != rejected {
			failure := Permanent(errors.New("the service cannot use the result: "+problem), rejected)
			replacements[each.held.token] = failed(each.held.token, failure)
		}
	}
}

// drain takes no more tasks, lets those under way end, reports, and closes.
func (s *session) drain(chosen transport) {
	chosen.stopTaking()
	if !s.waitUntilIdle(s.worker.grace) {
		for _, held := range s.ledger.unsettled() {
			s.log.Info("starflow: a task is given back", "task_id", held.ID)
			s.ledger.giveBack(held, leaving)
			held.stop(ErrShutdown)
		}
		s.waitUntilIdle(cleanUpTime)
	}
	flushing, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	chosen.close(flushing)
	if lost := s.ledger.unreported(); lost > 0 {
		s.log.Error("starflow: results could not be reported", "count", lost)
	}
}

// waitUntilIdle waits until no function runs, and reports whether that came to be in
// time. A worker that is hurried has no time, except for clean-up.
func (s *session) waitUntilIdle(most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	hurrying := s.worker.hurrying
	if most == cleanUpTime {
		hurrying = nil
	}
	for !s.ledger.isIdle() {
		select {
		case <-s.ledger.changed:
		case <-hurrying:
			return s.ledger.isIdle()
		case <-timer.C:
			return s.ledger.isIdle()
		}
	}
	return true
}

// isFatal reports whether a registration that was refused so will never succeed.
func isFatal(err error) bool {
	var failed *RequestError
	return errors.As(err, &failed) && !mayHelpLater(err) && !errors.Is(err, ErrServiceFault)
}
