package starflow

import (
	"context"
	"io"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// gatherTime is how long results wait for the answer to those before them: the more
// travel together, the less each costs, here and in the service's store. No longer,
// because the answer may wait for what has nothing to do with them.
const gatherTime = 5 * time.Millisecond

// streaming is the transport of one stream, opened anew whenever it breaks off.
type streaming struct {
	*session
	// Rung when there is something to send: results, credit, a heartbeat, the end.
	due bell

	mu      sync.Mutex
	beatDue bool
	leaving bool // no more tasks are wanted
	closing bool // and nothing more will be said

	known  chan struct{} // closed when the service first knew the worker
	once   sync.Once
	living context.Context
	end    context.CancelFunc
	done   chan struct{} // closed when nothing runs any more; fatal is set then
	fatal  error
}

func newStreaming(s *session) *streaming {
	t := &streaming{session: s, due: s.ledger.resultCame, known: make(chan struct{}), done: make(chan struct{})}
	t.living, t.end = context.WithCancel(context.Background())
	return t
}

func (t *streaming) start(ctx context.Context) error {
	go t.loop()
	select {
	case <-t.known:
		return nil
	case <-t.done:
		return t.fatal
	case <-ctx.Done():
		t.end()
		<-t.done
		return ctx.Err()
	}
}

func (t *streaming) stopTaking() {
	t.mu.Lock()
	t.leaving = true
	t.mu.Unlock()
	t.due.ring()
}

func (t *streaming) beatSoon() {
	t.mu.Lock()
	t.beatDue = true
	t.mu.Unlock()
	t.due.ring()
}

func (t *streaming) close(ctx context.Context) {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	t.due.ring()
	select {
	case <-t.done:
	case <-ctx.Done():
	}
	t.end()
	<-t.done
}

// loop opens streams until the worker has said all that it had to say.
func (t *streaming) loop() {
	defer close(t.done)
	pauses := newBackoff(workerPauseMax)
	for isFirst := true; t.living.Err() == nil; isFirst = false {
		stream := &workStream{streaming: t, travelling: map[int32]load{}, ended: make(chan struct{})}
		err := stream.live()
		if t.isFinished() {
			return
		}
		if stream.isWelcome {
			pauses.reset()
		} else if t.refused(err, isFirst) {
			t.fatal = err
			return
		}
		sleep(t.living, pauses.pause(retryAfter(err)))
	}
}

// isFinished reports whether all was said, and known to have been heard.
func (t *streaming) isFinished() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closing && t.ledger.unreported() == 0
}

// refused reports whether err ends the worker, and otherwise tells of it.
func (t *streaming) refused(err error, isFirst bool) bool {
	select {
	case <-t.known:
		if !mayHelpLater(err) {
			t.log.Error("starflow: the stream was refused", "error", err)
		}
		return false
	default:
	}
	if isFatal(err) {
		return true
	}
	if isFirst {
		t.log.Warn("starflow: not registered yet", "error", err)
	}
	return false
}

// workStream is one stream, from its opening until it breaks off.
type workStream struct {
	*streaming
	wire   pb.WorkerService_WorkStreamClient
	cancel context.CancelFunc
	ended  chan struct{} // closed when nothing more comes; err is set then
	err    error

	// Of the goroutine that receives.
	isWelcome bool

	// Of the goroutine that sends.
	hasGreeted, hasLeft bool
	beatAt              time.Time // when the last heartbeat was composed; zero makes the first due

	// The rest under the lock of streaming.
	sequence   int32
	reporting  int            // how many messages with results are not acknowledged
	reportedAt time.Time      // when the last of them was composed
	travelling map[int32]load // what is not acknowledged, by sequence
	leftAt     int32          // the sequence with which we said that we leave
	leftKnown  bool           // that was acknowledged: no more tasks come
	credit     int            // what the service has and has not used
}

// load is what a message carries that must not be lost.
type load struct {
	batch []report
	told  news
}

// live sends and receives until the stream ends, and returns why.
func (w *workStream) live() error {
	within, cancel := context.WithCancel(w.living)
	defer cancel()
	w.cancel = cancel
	wire, err := w.client.workers.WorkStream(within)
	if err != nil {
		return requestError(err, w.client.address)
	}
	w.wire = wire
	go w.receive()
	w.send()
	<-w.ended
	w.putBack()
	return w.err
}

// putBack returns what the service may not have heard to the outbox.
func (w *workStream) putBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, lost := range w.travelling {
		w.ledger.putBack(lost.batch)
		lost.told.lost()
	}
	w.travelling = nil
}

// send sends until the stream has ended or there is nothing more to say.
func (w *workStream) send() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for message := w.compose(); message != nil; message = w.compose() {
			if w.wire.Send(message) != nil {
				return // what is wrong, the other direction says
			}
		}
		if w.saysGoodbye() {
			return
		}
		timer.Reset(w.pause())
		select {
		case <-w.due:
			// Functions that end together report together.
			runtime.Gosched()
		case <-timer.C:
		case <-w.ended:
			return
		}
	}
}

// pause returns how long there will be nothing to say, unless something happens.
func (w *workStream) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	until := w.beatAt.Add(w.interval())
	if w.gathers() && w.ledger.hasResults() {
		until = w.reportedAt.Add(gatherTime)
	}
	return time.Until(until)
}

// gathers reports whether results wait for others, to travel together.
func (w *workStream) gathers() bool {
	return w.reporting > 0 && time.Since(w.reportedAt) < gatherTime
}

// saysGoodbye closes our side once everything is acknowledged; the service ends the
// stream then.
func (w *workStream) saysGoodbye() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closing || !w.leftKnown || w.ledger.unreported() > 0 {
		return false
	}
	_ = w.wire.CloseSend()
	return true
}

// compose returns what there is to say now, or nil.
func (w *workStream) compose() *pb.WorkStreamRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	message := &pb.WorkStreamRequest{}
	greets := !w.hasGreeted
	if greets {
		w.hasGreeted = true
		message.Hello = w.hello
	}
	var carried load
	if !w.gathers() {
		carried.batch = w.ledger.take()
	}
	beats := w.beatDue || time.Since(w.beatAt) >= w.interval()
	if beats || waitForNews(carried.batch) {
		// Progress goes in a message before the results that wait for it. Of one message
		// the service would take it first, too, but its refusal would be acknowledged
		// with the same sequence as the results.
		w.ledger.putBack(carried.batch)
		carried.batch = nil
		w.beatDue, w.beatAt = false, time.Now()
		message.Tasks, carried.told = w.ledger.heartbeats()
		carried.told.told()
	}
	carries := w.carry(message, carried)
	leaves := w.leave(message)
	lends := w.lend(message)
	// A heartbeat without tasks is one, too: who says nothing for a lease gets no tasks.
	if greets || beats || len(message.Tasks) > 0 || carries || leaves || lends {
		return message
	}
	return nil
}

func waitForNews(batch []report) bool {
	for _, each := range batch {
		if each.waitsForNews() {
			return true
		}
	}
	return false
}

// carry has what must not be lost acknowledged.
func (w *workStream) carry(message *pb.WorkStreamRequest, carried load) bool {
	if len(carried.batch) == 0 && len(carried.told) == 0 {
		return false
	}
	for _, each := range carried.batch {
		message.Results = append(message.Results, each.result)
	}
	w.number(message)
	w.travelling[message.Sequence] = carried
	if len(carried.batch) > 0 {
		w.reporting++
		w.reportedAt = time.Now()
	}
	return true
}

// number asks for an acknowledgement.
func (w *workStream) number(message *pb.WorkStreamRequest) {
	if message.Sequence == 0 {
		w.sequence++
		message.Sequence = w.sequence
	}
}

func (w *workStream) leave(message *pb.WorkStreamRequest) bool {
	if !w.leaving || w.hasLeft {
		return false
	}
	w.hasLeft = true
	message.Drain = true
	w.number(message)
	w.leftAt = message.Sequence
	return true
}

// lend gives credit for all slots that are free.
func (w *workStream) lend(message *pb.WorkStreamRequest) bool {
	if w.leaving {
		return false
	}
	more := w.short()
	if more <= 0 || more <= w.credit && len(message.Results) == 0 && w.ledger.hasResults() {
		return false // the latter: it may travel with results, while the service has some
	}
	w.credit += more
	message.Credit = int32(more)
	return true
}

// short returns how much credit there should be beyond what there is.
func (w *workStream) short() int {
	return min(w.ledger.free(), w.pollTasksMax) - w.credit
}

// receive takes what the service says until the stream ends.
func (w *workStream) receive() {
	defer close(w.ended)
	// A service that says nothing for two intervals is not there any more.
	silence := time.AfterFunc(answerTime, w.cancel)
	defer silence.Stop()
	for {
		message, err := w.wire.Recv()
		if err == io.EOF {
			w.err = &RequestError{Message: "the stream ended", Status: codes.Unavailable, class: ErrUnavailable}
			return
		}
		if err != nil {
			w.err = requestError(err, w.client.address)
			return
		}
		w.take(message)
		silence.Reset(2 * w.interval())
	}
}

func (w *workStream) take(message *pb.WorkStreamResponse) {
	if message.Welcome != nil {
		w.welcome(message.Welcome)
		w.isWelcome = true
		w.due.ring() // the interval may be another now
		w.once.Do(func() { close(w.known) })
	}
	for _, acknowledgement := range message.Acknowledgements {
		w.acknowledged(acknowledgement)
	}
	w.follow(message.Directives)
	if len(message.Tasks) > 0 {
		w.takeTasks(message.Tasks)
	}
	if message.Drained {
		w.worker.drained()
	}
}

func (w *workStream) takeTasks(tasks []*pb.Task) {
	// In one, or the sender could lend a slot twice.
	w.mu.Lock()
	held := w.hold(tasks, w)
	w.credit -= len(tasks)
	leaving := w.leaving
	if w.short() > 0 {
		w.due.ring() // the service takes less credit at a time than there are slots
	}
	w.mu.Unlock()
	if leaving {
		w.refuse(held)
	} else {
		w.begin(held)
	}
}

func (w *workStream) acknowledged(acknowledgement *pb.Acknowledgement) {
	w.mu.Lock()
	carried := w.travelling[acknowledgement.Sequence]
	delete(w.travelling, acknowledgement.Sequence)
	if len(carried.batch) > 0 {
		w.reporting--
	}
	if acknowledgement.Sequence == w.leftAt {
		w.leftKnown = true
	}
	w.mu.Unlock()
	switch {
	case acknowledgement.Error == nil:
		w.answered(carried.batch, acknowledgement.Exceptions)
	case acknowledgement.Error.Code == int32(codes.InvalidArgument):
		// Only progress is refused so. It must not cost everybody's lease.
		w.log.Error("starflow: the progress of tasks is lost", "error", acknowledgement.Error.Message)
		w.answered(carried.batch, acknowledgement.Exceptions)
	default:
		w.log.Warn("starflow: results will be sent again", "error", acknowledgement.Error.Message)
		time.AfterFunc(workerPauseMax, func() {
			carried.told.lost()
			w.ledger.putBack(carried.batch)
		})
	}
	w.due.ring()
}
