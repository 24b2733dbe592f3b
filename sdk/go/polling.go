package starflow

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

const (
	pollWait = 20 * time.Second
	// How long the service holds a heartbeat back, by whose breaking off it notices that
	// this process died; and the least time between two of them.
	presenceWait, presencePause = 20 * time.Second, time.Second
	// A heartbeat that takes longer has missed its purpose; the next one may do better.
	beatTime = 4 * time.Second
)

// polling is the transport of single requests. Four loops talk to the service: one polls,
// one reports whatever has gathered since its last report, one renews the leases, and one
// keeps a heartbeat waiting, so that a death is noticed even while no poll waits.
type polling struct {
	*session
	beatDue bell
	// One heartbeat at a time: progress that one sends, another must not send again.
	beating sync.Mutex

	taking      context.Context
	endTaking   context.CancelFunc
	living      context.Context
	endLiving   context.CancelFunc
	polled      sync.WaitGroup // the poll loop
	loops       sync.WaitGroup // the others
	pollsPrefix string
	pollsMade   int
}

func newPolling(s *session) *polling {
	p := &polling{session: s, beatDue: make(bell, 1), pollsPrefix: newID()[:16] + "-"}
	p.taking, p.endTaking = context.WithCancel(context.Background())
	p.living, p.endLiving = context.WithCancel(context.Background())
	return p
}

func (p *polling) start(ctx context.Context) error {
	if err := p.registerPatiently(ctx); err != nil {
		p.endTaking()
		p.endLiving()
		return err
	}
	p.polled.Add(1)
	go p.poll()
	for _, loop := range []func(){p.reportLoop, p.beatLoop, p.stayPresent, p.watchConnection} {
		p.loops.Add(1)
		go func() {
			defer p.loops.Done()
			loop()
		}()
	}
	return nil
}

func (p *polling) registerPatiently(ctx context.Context) error {
	pauses := newBackoff(workerPauseMax)
	for isFirst := true; ; isFirst = false {
		err := p.register(ctx)
		if err == nil || isFatal(err) {
			return err
		}
		if isFirst {
			p.log.Warn("starflow: not registered yet", "error", err)
		}
		if !sleep(ctx, pauses.pause(retryAfter(err))) {
			return ctx.Err()
		}
	}
}

func (p *polling) register(ctx context.Context) error {
	response, err := send(ctx, p.client, p.client.workers.RegisterFunction, p.hello, answerTime)
	if err == nil {
		p.welcome(response)
	}
	return err
}

// send sends a request once.
func send[Q, A any](ctx context.Context, c *Client, method method[Q, A], request Q, timeout time.Duration) (A, error) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := method(within, request)
	if err != nil {
		return answer, requestError(err, c.address)
	}
	return answer, nil
}

func (p *polling) poll() {
	defer p.polled.Done()
	pauses := newBackoff(workerPauseMax)
	var open *pb.PollRequest // a poll whose answer has not come
	for p.waitForSlots() {
		if open == nil {
			open = p.newPoll()
		}
		response, err := send(p.taking, p.client, p.client.workers.Poll, open, pollWait+answerTime)
		if err == nil {
			open = nil
			p.begin(p.hold(response.Tasks, p))
			if response.Drained {
				p.worker.drained()
			}
		} else if p.taking.Err() == nil {
			p.pollFailed(err)
		}
		if err == nil && !response.Draining {
			pauses.reset()
		} else {
			sleep(p.taking, pauses.pause(retryAfter(err)))
		}
	}
	if open != nil {
		p.giveBack(open)
	}
}

// waitForSlots waits until a task may be taken, and reports false once none may any more.
func (p *polling) waitForSlots() bool {
	for p.taking.Err() == nil {
		if p.ledger.free() > 0 {
			return true
		}
		select {
		case <-p.ledger.slotFreed:
		case <-p.taking.Done():
		}
	}
	return false
}

func (p *polling) newPoll() *pb.PollRequest {
	p.pollsMade++
	return &pb.PollRequest{
		Namespace: p.hello.Namespace,
		WorkerId:  p.worker.id,
		PollId:    p.pollsPrefix + strconv.Itoa(p.pollsMade),
		MaxTasks:  int32(min(p.ledger.free(), p.pollTasksMax)),
		Wait:      durationpb.New(pollWait),
	}
}

func (p *polling) pollFailed(err error) {
	switch {
	case errors.Is(err, ErrWorkerNotRegistered):
		if err := p.register(p.taking); err != nil {
			p.log.Warn("starflow: not registered again yet", "error", err)
		}
	case !mayHelpLater(err):
		p.log.Error("starflow: a poll was refused", "error", err)
	}
	// Whoever holds tasks must say so now: a server takes a poll that broke off for its
	// worker's death, and one that was restarted waits only so long.
	p.beatSoon()
}

// giveBack gives back what a poll has brought whose answer was not waited for.
func (p *polling) giveBack(open *pb.PollRequest) {
	open.Wait = nil
	response, err := send(p.living, p.client, p.client.workers.Poll, open, beatTime)
	if err != nil {
		p.log.Info("starflow: tasks of the last poll may wait for their lease", "error", err)
		return
	}
	p.refuse(p.hold(response.Tasks, p))
}

func (p *polling) stopTaking() {
	p.endTaking()
	p.polled.Wait()
	// What is still under way must not be given to somebody else because the last poll
	// broke off.
	p.beatSoon()
}

func (p *polling) beatSoon() {
	p.beatDue.ring()
}

func (p *polling) beatLoop() {
	pauses := newBackoff(workerPauseMax)
	timer := time.NewTimer(p.interval())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-p.beatDue:
		case <-p.living.Done():
			return
		}
		pause := p.interval()
		if err := p.beat(); err == nil {
			pauses.reset()
		} else {
			if !mayHelpLater(err) {
				p.log.Error("starflow: a heartbeat was refused", "error", err)
			}
			pause = pauses.pause(retryAfter(err))
		}
		timer.Reset(pause)
	}
}

// beat sends one heartbeat with all tasks held and their news. It registers the worker if
// the service does not know it any more.
func (p *polling) beat() error {
	p.beating.Lock()
	defer p.beating.Unlock()
	tasks, told := p.ledger.heartbeats()
	err := p.sendBeat(p.living, tasks, 0)
	if errors.Is(err, ErrWorkerNotRegistered) {
		if err = p.register(p.living); err == nil {
			err = p.sendBeat(p.living, tasks, 0)
		}
	}
	if errors.Is(err, ErrInvalidRequest) && len(told) > 0 {
		// Somebody's progress must not cost everybody's lease.
		p.log.Error("starflow: the progress of tasks is lost", "error", err)
		for _, task := range tasks {
			task.Progress = nil
		}
		err = p.sendBeat(p.living, tasks, 0)
	}
	if err == nil {
		told.told()
	}
	return err
}

func (p *polling) sendBeat(ctx context.Context, tasks []*pb.TaskHeartbeat, wait time.Duration) error {
	request := &pb.HeartbeatRequest{
		Namespace: p.hello.Namespace,
		WorkerId:  p.worker.id,
		Tasks:     tasks,
		Wait:      optionalDuration(wait),
	}
	response, err := send(ctx, p.client, p.client.workers.Heartbeat, request, wait+beatTime)
	if err != nil {
		return err
	}
	p.follow(response.Directives)
	if response.Drained {
		p.worker.drained()
	}
	return nil
}

// stayPresent keeps one heartbeat waiting at the service.
func (p *polling) stayPresent() {
	for p.living.Err() == nil {
		began := time.Now()
		tasks, _ := p.ledger.heartbeats()
		for _, task := range tasks {
			task.Progress = nil // whose sending is beat's affair
		}
		err := p.sendBeat(p.living, tasks, presenceWait)
		if err != nil || time.Since(began) < presencePause {
			sleep(p.living, presencePause)
		}
	}
}

// watchConnection sends a heartbeat whenever the connection is lost. A server that is
// started again holds tasks back for those who had them, and only for a second: who has
// any must say so at once, and not at the next heartbeat or when a slot is free.
func (p *polling) watchConnection() {
	channel := p.client.channel
	before := channel.GetState()
	for channel.WaitForStateChange(p.living, before) {
		now := channel.GetState()
		if before == connectivity.Ready && now != connectivity.Ready {
			p.beatSoon()
		}
		before = now
	}
}

// reportLoop sends whatever there is as soon as the sending before is answered. So a lone
// result leaves at once, and the busier the worker, the larger the batches.
func (p *polling) reportLoop() {
	for {
		select {
		case <-p.ledger.resultCame:
		case <-p.living.Done():
			return
		}
		// Functions that end together report together.
		runtime.Gosched()
		for batch := p.ledger.take(); len(batch) > 0; batch = p.ledger.take() {
			if !p.report(batch) {
				return
			}
		}
	}
}

// report sends results until they are answered, and reports false if living ends before.
func (p *polling) report(batch []report) bool {
	pauses := newBackoff(workerPauseMax)
	for {
		completions, err := p.complete(batch)
		switch {
		case err == nil:
			p.answered(batch, completions)
			return true
		case !mayHelpLater(err):
			return p.reportApart(batch, err)
		case !sleep(p.living, pauses.pause(retryAfter(err))):
			p.ledger.putBack(batch)
			return false
		}
	}
}

func (p *polling) complete(batch []report) ([]*pb.Completion, error) {
	request := &pb.CompleteTasksRequest{Namespace: p.hello.Namespace, WorkerId: p.worker.id}
	for _, each := range batch {
		request.Results = append(request.Results, each.result)
		for each.waitsForNews() { // one heartbeat may not carry all of it
			if err := p.beat(); err != nil {
				return nil, err
			}
		}
	}
	response, err := send(p.living, p.client, p.client.workers.CompleteTasks, request, answerTime)
	if err != nil {
		return nil, err
	}
	return response.Completions, nil
}

// reportApart finds the result for which a whole batch was refused, and gives up on it.
func (p *polling) reportApart(batch []report, err error) bool {
	if len(batch) > 1 {
		middle := len(batch) / 2
		return p.report(batch[:middle]) && p.report(batch[middle:])
	}
	p.log.Error("starflow: a result is lost", "task_id", batch[0].held.ID, "error", err)
	p.ledger.answered(batch, nil)
	return true
}

func (p *polling) close(ctx context.Context) {
	for p.ledger.unreported() > 0 && ctx.Err() == nil {
		select {
		case <-p.ledger.changed:
		case <-ctx.Done():
		}
	}
	p.endLiving()
	p.loops.Wait()
}
