package starflow_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/starflow/starflow-go"
)

// link is a way to a server that can break.
type link struct {
	address string
	door    net.Listener
	arrived chan struct{} // one for each connection

	mu     sync.Mutex
	pairs  []net.Conn
	frozen []chan struct{} // closed to let nothing through any more
}

func newLink(t *testing.T, to *server) *link {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &link{address: to.address(), door: door, arrived: make(chan struct{}, 1000)}
	t.Cleanup(func() {
		_ = door.Close()
		made.cut()
	})
	go made.serve()
	return made
}

func (l *link) client(t *testing.T) *starflow.Client {
	t.Helper()
	port := l.door.Addr().(*net.TCPAddr).Port
	return newClient(t, &server{port: port})
}

func (l *link) serve() {
	for {
		near, err := l.door.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.address)
		if err != nil {
			_ = near.Close()
			continue
		}
		freeze := make(chan struct{})
		l.mu.Lock()
		l.pairs = append(l.pairs, near, far)
		l.frozen = append(l.frozen, freeze)
		l.mu.Unlock()
		go carry(near, far, freeze)
		go carry(far, near, freeze)
		l.arrived <- struct{}{}
	}
}

// carry passes on what comes until the link is cut. Of what comes after the freeze,
// nothing arrives.
func carry(from, to net.Conn, freeze <-chan struct{}) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-freeze:
			_, _ = io.Copy(io.Discard, from)
			return
		default:
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut breaks all connections; new ones go through.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.pairs {
		_ = end.Close()
	}
	l.pairs = nil
}

// freeze lets nothing through on the connections that there are, and closes none.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, each := range l.frozen {
		close(each)
	}
	l.frozen = nil
}

// rests is a run that ends once the service's doubts about a worker would have ended.
const rests = "load('time', 'sleep', 'second')\ndef main(ctx, input):\n    sleep(ctx, 3 * second)\n"

func TestHeldTasksOutlastABrokenConnection(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t)
		link := newLink(t, server)
		worker := starflow.NewWorker(link.client(t), options...)
		began, leave := make(chan struct{}, 10), make(chan struct{})
		starflow.Register(worker, "test.hold", func(ctx context.Context, _ struct{}) (int, error) {
			began <- struct{}{}
			<-leave
			return starflow.TaskFrom(ctx).Attempt, ctx.Err()
		})
		begin(t, worker)
		client := newClient(t, server)
		run := start(t, client, calls("test.hold"), nil)
		arrives(t, began, "the task")

		link.cut()
		result[any](t, start(t, client, rests, nil))
		close(leave)

		equal(t, result[int](t, run), 1)
		equal(t, len(began), 0)
	})
}

func TestResultsOutlastABrokenConnection(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t)
		link := newLink(t, server)
		worker := starflow.NewWorker(link.client(t), append(options, starflow.Concurrency(8))...)
		executed := make(chan struct{}, 10_000)
		starflow.Register(worker, "test.next", func(_ context.Context, n int) (int, error) {
			executed <- struct{}{}
			return n + 1, nil
		})
		begin(t, worker)
		client := newClient(t, server)
		script := "def main(ctx, input):\n    n = 0\n    for _ in range(200):\n        n = test.next(ctx=ctx, req=n)\n    return n\n"
		run := start(t, client, script, nil)

		for range 5 {
			for range 20 {
				arrives(t, executed, "the next task")
			}
			link.cut()
		}

		equal(t, result[int](t, run), 200)
	})
}

func TestAConnectionThatFallsSilentIsReplaced(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		server := newServer(t)
		link := newLink(t, server)
		worker := starflow.NewWorker(link.client(t), options...)
		starflow.Register(worker, "test.echo", echo)
		begin(t, worker)
		client := newClient(t, server)
		equal(t, result[int](t, start(t, client, calls("test.echo"), 1)), 1)

		link.freeze()

		equal(t, result[int](t, start(t, client, calls("test.echo"), 2)), 2)
	})
}
