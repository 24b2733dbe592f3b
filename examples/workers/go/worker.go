// A whole worker in Go, on nothing but the generated stubs: this file is the protocol,
// functions.go is what it offers. README.md says how to build and run it.
package main

import (
	"context"
	"crypto/rand"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.org/worker/starflow"
)

const slots = 8 // tasks at a time


type worker struct {
	pb.WorkerServiceClient
	id   string
	mu   sync.Mutex
	held map[string]*task // by token, from the delivery until the report is answered
}

// again repeats a request until it is answered. That is always safe, and the only way not
// to lose anything in an outage. A service that forgot us is told again who we are.
func again[Q, A any](w *worker, call func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) A {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		answer, err := call(context.Background(), request)
		if err == nil {
			return answer
		}
		log.Print(err)
		if status.Code(err) == codes.FailedPrecondition {
			w.register()
		}
		time.Sleep(pause)
	}
}

func (w *worker) register() time.Duration {
	request := &pb.RegisterFunctionRequest{Worker: &pb.WorkerInfo{WorkerId: w.id, MaxConcurrency: slots}}
	for name := range functions {
		request.Functions = append(request.Functions, &pb.FunctionSpec{Name: name})
	}
	return again(w, w.RegisterFunction, request).HeartbeatInterval.AsDuration()
}

// beat renews the leases of all held tasks. The service holds each answer back for one
// interval: by the call that breaks off it notices within seconds that we died.
func (w *worker) beat(interval time.Duration) {
	for {
		request := &pb.HeartbeatRequest{WorkerId: w.id, Wait: durationpb.New(interval)}
		w.mu.Lock()
		for token, t := range w.held {
			request.Tasks = append(request.Tasks, &pb.TaskHeartbeat{TaskToken: token, Progress: t.progress.Load()})
		}
		w.mu.Unlock()
		answer, err := w.Heartbeat(context.Background(), request)
		if err != nil {
			time.Sleep(200 * time.Millisecond)
		}
		for _, directive := range answer.GetDirectives() {
			w.drop(directive.TaskToken) // the only directive there is: ABANDON
		}
	}
}

// drop lets go of a task, and says whether it was still ours.
func (w *worker) drop(token string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ours := w.held[token]
	if ours {
		t.stop()
		delete(w.held, token)
	}
	return ours
}

func (w *worker) report(token string, result *pb.TaskResult) {
	result.TaskToken = token
	request := &pb.CompleteTasksRequest{WorkerId: w.id, Results: []*pb.TaskResult{result}}
	// REJECTED: too large, or no JSON. Without a report it would be executed again.
	if no := again(w, w.CompleteTasks, request).Completions[0].Rejection; no != nil {
		refused := &pb.Failure{Code: no.Reason, Message: no.Message, Retryability: pb.Retryability_RETRYABILITY_PERMANENT}
		w.report(token, failure(refused))
	}
}

func main() {
	connect := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 2 * time.Second}}
	channel, err := grpc.NewClient(os.Getenv("STARFLOW_ADDRESS"), grpc.WithConnectParams(connect),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	w := &worker{WorkerServiceClient: pb.NewWorkerServiceClient(channel), id: "go-" + rand.Text(), held: map[string]*task{}}
	sigterm, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	go w.beat(w.register())
	hands := make(chan struct{}, slots) // the busy ones
	// SIGTERM ends the loop with the present poll, and the process with its last task.
	for sigterm.Err() == nil {
		hands <- struct{}{} // waits while all are busy
		poll := &pb.PollRequest{WorkerId: w.id, PollId: rand.Text(), MaxTasks: int32(slots - len(hands) + 1), Wait: durationpb.New(3 * time.Second)}
		answer := again(w, w.Poll, poll)
		<-hands
		for _, given := range answer.Tasks {
			hands <- struct{}{}
			ctx, stop := context.WithCancel(context.Background())
			t := &task{Task: given, stop: stop}
			w.mu.Lock()
			w.held[given.TaskToken] = t
			w.mu.Unlock()
			go func() {
				result := execute(ctx, t)
				if ctx.Err() == nil { // not abandoned
					w.report(given.TaskToken, result)
				}
				w.drop(given.TaskToken)
				<-hands
			}()
		}
	}
	for range slots {
		hands <- struct{}{} // waits until the last is free
	}
}
