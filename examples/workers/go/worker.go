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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.org/worker/starflow"
)

const slots = 8 // tasks at a time

type worker struct {
	pb.WorkerServiceClient
	channel *grpc.ClientConn
	id      string
	held    sync.Map // *task by token, from the delivery until the report is answered
}

// again repeats a request until it is answered. That is always safe, and the only way not
// to lose anything in an outage. A service that forgot us is told again who we are.
func again[Q, A any](w *worker, call func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) A {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		answer, err := call(context.Background(), request)
		if err == nil {
			return answer
		} else if status.Code(err) == codes.FailedPrecondition {
			w.register()
		}
		log.Print(err)
		time.Sleep(pause)
		w.channel.ResetConnectBackoff() // or gRPC would wait by itself, for up to minutes
	}
}

func (w *worker) register() *pb.RegisterFunctionResponse {
	info := &pb.WorkerInfo{WorkerId: w.id, MaxConcurrency: slots}
	return again(w, w.RegisterFunction, &pb.RegisterFunctionRequest{Worker: info, Functions: offered()})
}

// beat renews the leases of all held tasks. The service holds each answer back for one
// interval: by the call that breaks off it notices within seconds that we died.
func (w *worker) beat(interval *durationpb.Duration) {
	for {
		request := &pb.HeartbeatRequest{WorkerId: w.id, Wait: interval}
		for _, held := range w.held.Range {
			request.Tasks = append(request.Tasks, held.(*task).beat())
		}
		for _, directive := range again(w, w.Heartbeat, request).Directives {
			w.drop(directive.TaskToken) // CANCEL or ABANDON: stop
		}
	}
}

func (w *worker) drop(token string) {
	if held, ours := w.held.LoadAndDelete(token); ours {
		held.(*task).stop()
	}
}

func (w *worker) work(t *task) {
	result := execute(t)
	// Once more if it is REJECTED: too large, or no JSON. Else it would be executed again.
	for result != nil && !t.abandoned() {
		result.TaskToken = t.TaskToken
		request := &pb.CompleteTasksRequest{WorkerId: w.id, Results: []*pb.TaskResult{result}}
		result = refused(again(w, w.CompleteTasks, request).Completions[0].Rejection)
	}
	w.drop(t.TaskToken)
}

func main() {
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	channel, err := grpc.NewClient(os.Getenv("STARFLOW_ADDRESS"), plain)
	if err != nil {
		log.Fatal(err)
	}
	id := "go-" + rand.Text() // no other process ever had it
	w := &worker{WorkerServiceClient: pb.NewWorkerServiceClient(channel), channel: channel, id: id}
	go w.beat(w.register().HeartbeatInterval)
	sigterm, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	hands := make(chan struct{}, slots) // the busy ones
	// SIGTERM ends the loop with the present poll, and the process with its last task; and so
	// does whoever drains this worker at the service.
	for drained := false; !drained && sigterm.Err() == nil; {
		hands <- struct{}{} // waits while all are busy
		wait, free := durationpb.New(3*time.Second), int32(slots-len(hands)+1)
		poll := &pb.PollRequest{WorkerId: id, PollId: rand.Text(), MaxTasks: free, Wait: wait}
		answer := again(w, w.Poll, poll)
		<-hands
		drained = answer.Drained
		for _, delivered := range answer.Tasks {
			hands <- struct{}{}
			t := hold(delivered)
			w.held.Store(t.TaskToken, t)
			go func() { w.work(t); <-hands }()
		}
	}
	for range slots {
		hands <- struct{}{} // waits until the last is free
	}
}
