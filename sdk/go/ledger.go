package starflow

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "github.com/starflow/starflow-go/starflowv1"
)

const (
	batchResultsMax = 1_000
	batchBytesMax   = 1 << 20
	// All leases hang on one message, which must stay below gRPC's limit.
	newsBytesMax = 1 << 20
)

// heldTask is a task from its delivery until its result is answered.
type heldTask struct {
	*Task
	token    string
	input    *pb.Payload
	function *function
	ctx      context.Context
	stop     context.CancelCauseFunc

	// Under the ledger's lock: whether the outcome is decided (what the function does then
	// changes nothing), and whether the function has ended.
	settled, left bool
}

// report is a result, and the task that it ends.
type report struct {
	held   *heldTask
	result *pb.TaskResult
}

// ledger knows who holds what: free slots, running functions, results on their way.
//
// A task occupies a slot until its function has ended. It is held, and named in
// heartbeats, until the service has answered its result.
type ledger struct {
	slots int
	// Rung when a slot may have become free, a result may be there to be sent, and
	// anything may have changed; each has one listener.
	slotFreed, resultCame, changed bell

	mu      sync.Mutex
	running int
	held    map[string]*heldTask
	outbox  []report
	// How many results are taken out of the outbox and not answered.
	travelling int
}

// bell wakes its one listener, however often it was rung since.
type bell chan struct{}

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

func newLedger(slots int) *ledger {
	return &ledger{
		slots:      slots,
		slotFreed:  make(bell, 1),
		resultCame: make(bell, 1),
		changed:    make(bell, 1),
		held:       map[string]*heldTask{},
	}
}

// free returns how many tasks may be taken.
func (l *ledger) free() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Results that cannot be sent must not pile up without end, either.
	return max(min(l.slots-l.running, 2*l.slots-len(l.held)), 0)
}

// admit begins to hold tasks; each takes a slot.
func (l *ledger) admit(tasks []*heldTask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, held := range tasks {
		l.running++
		l.held[held.token] = held
	}
}

// finish ends the function of a task with a result, unless its outcome is decided. The
// slot becomes free with that and not later, so that result and credit travel together.
func (l *ledger) finish(held *heldTask, result *pb.TaskResult) {
	l.mu.Lock()
	l.running--
	held.left = true
	if !held.settled {
		held.settled = true
		l.outbox = append(l.outbox, report{held, result})
	}
	l.mu.Unlock()
	l.resultCame.ring()
	l.slotFreed.ring()
	l.changed.ring()
}

// giveBack decides that a task goes back, unless its outcome is decided.
func (l *ledger) giveBack(held *heldTask, reason string) {
	l.mu.Lock()
	if !held.settled {
		held.settled = true
		l.outbox = append(l.outbox, report{held, released(held.token, reason)})
	}
	l.mu.Unlock()
	l.resultCame.ring()
}

// abandon gives a task up, and returns it if its function may stop.
func (l *ledger) abandon(token string) *heldTask {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held[token]
	if held == nil || held.settled {
		return nil
	}
	delete(l.held, token)
	held.settled = true
	return held
}

// take returns results to be sent together; they are under way then.
func (l *ledger) take() []report {
	l.mu.Lock()
	defer l.mu.Unlock()
	size, count := 0, 0
	for _, each := range l.outbox[:min(len(l.outbox), batchResultsMax)] {
		size += proto.Size(each.result)
		if count > 0 && size > batchBytesMax {
			break
		}
		count++
	}
	batch := append([]report(nil), l.outbox[:count]...)
	l.outbox = append(l.outbox[:0], l.outbox[count:]...)
	l.travelling += count
	return batch
}

// hasResults reports whether results wait to be sent.
func (l *ledger) hasResults() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.outbox) > 0
}

// putBack returns results to the outbox that the service has not answered.
func (l *ledger) putBack(batch []report) {
	l.mu.Lock()
	l.outbox = append(append([]report(nil), batch...), l.outbox...)
	l.travelling -= len(batch)
	l.mu.Unlock()
	l.resultCame.ring()
}

// answered notes that the service knows these results. Those with a replacement go on
// their way once more, with that.
func (l *ledger) answered(batch []report, replacements map[string]*pb.TaskResult) {
	l.mu.Lock()
	for _, each := range batch {
		if replacement, ok := replacements[each.held.token]; ok {
			l.outbox = append(l.outbox, report{each.held, replacement})
		} else {
			delete(l.held, each.held.token)
		}
	}
	l.travelling -= len(batch)
	l.mu.Unlock()
	if len(replacements) > 0 {
		l.resultCame.ring()
	}
	l.slotFreed.ring()
	l.changed.ring()
}

// unsettled returns the tasks whose outcome is open.
func (l *ledger) unsettled() (open []*heldTask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, held := range l.held {
		if !held.settled {
			open = append(open, held)
		}
	}
	return open
}

// isIdle reports whether no function runs.
func (l *ledger) isIdle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running == 0
}

// unreported returns how many results the service has not answered.
func (l *ledger) unreported() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.outbox) + l.travelling
}

// news is progress that travels, by the task that made it.
type news map[*heldTask]*string

// told notes that the service knows all of it.
func (n news) told() {
	for held, text := range n {
		held.unsent.CompareAndSwap(text, nil) // a newer one may have come
	}
}

// lost notes that the service may not know it after all. What was said since is newer.
func (n news) lost() {
	for held, text := range n {
		held.unsent.CompareAndSwap(nil, text)
	}
}

// heartbeats returns all tasks held, and progress yet to be told, as much as one message
// can carry: first that of tasks whose results wait for it.
func (l *ledger) heartbeats() ([]*pb.TaskHeartbeat, news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told, size := news{}, 0
	beats := make([]*pb.TaskHeartbeat, 0, len(l.held))
	for _, settled := range []bool{true, false} {
		for _, held := range l.held {
			if held.settled == settled {
				beats = append(beats, held.beat(told, &size))
			}
		}
	}
	return beats, told
}

func (t *heldTask) beat(told news, size *int) *pb.TaskHeartbeat {
	beat := &pb.TaskHeartbeat{TaskToken: t.token}
	text := t.unsent.Load()
	if text == nil || *size > 0 && *size+len(*text) > newsBytesMax {
		return beat
	}
	*size += len(*text)
	told[t] = text
	beat.Progress = payload(*text)
	return beat
}

// waitsForNews reports whether progress has to be told before this result: the next
// attempt is to see it, and only a task that is held can tell it.
func (r report) waitsForNews() bool {
	switch r.result.Outcome.(type) {
	case *pb.TaskResult_Failure, *pb.TaskResult_Release:
		return r.held.unsent.Load() != nil
	}
	return false
}
