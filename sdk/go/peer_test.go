package starflow_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/starflow/starflow-go"
	pb "github.com/starflow/starflow-go/starflowv1"
)

// peer is a service that does what no real one can be made to do at the right moment: it
// hands out tasks too late, loses answers, and fails to store. Everything else is tested
// with the real one.
type peer struct {
	pb.UnimplementedWorkflowServiceServer
	pb.UnimplementedWorkerServiceServer

	capabilities []string
	polls        chan *pb.PollRequest
	answers      chan any // a *pb.PollResponse, or an error
	reports      chan *pb.CompleteTasksRequest
	said         chan *pb.WorkStreamRequest
	says         chan *pb.WorkStreamResponse
	waiting      chan struct{}
	waits        chan error // why a GetRun that is never answered has ended
}

func newPeer(t *testing.T, capabilities ...string) (*peer, *starflow.Client) {
	t.Helper()
	made := &peer{
		capabilities: capabilities,
		polls:        make(chan *pb.PollRequest, 100),
		answers:      make(chan any, 100),
		reports:      make(chan *pb.CompleteTasksRequest, 100),
		said:         make(chan *pb.WorkStreamRequest, 100),
		says:         make(chan *pb.WorkStreamResponse, 100),
		waiting:      make(chan struct{}, 1),
		waits:        make(chan error, 1),
	}
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := grpc.NewServer()
	pb.RegisterWorkflowServiceServer(service, made)
	pb.RegisterWorkerServiceServer(service, made)
	ended := sync.WaitGroup{}
	ended.Add(1)
	go func() {
		defer ended.Done()
		_ = service.Serve(door)
	}()
	t.Cleanup(func() {
		service.Stop()
		ended.Wait()
	})
	return made, newClient(t, &server{port: door.Addr().(*net.TCPAddr).Port})
}

func (p *peer) GetServerInfo(context.Context, *pb.GetServerInfoRequest) (*pb.GetServerInfoResponse, error) {
	limits := &pb.Limits{MaxPayloadBytes: 1 << 20, MaxPollTasks: 1_000}
	return &pb.GetServerInfoResponse{Capabilities: p.capabilities, Limits: limits}, nil
}

func (p *peer) GetRun(ctx context.Context, _ *pb.GetRunRequest) (*pb.GetRunResponse, error) {
	p.waiting <- struct{}{}
	<-ctx.Done()
	p.waits <- ctx.Err()
	return nil, ctx.Err()
}

func (p *peer) RegisterFunction(context.Context, *pb.RegisterFunctionRequest) (*pb.RegisterFunctionResponse, error) {
	return p.welcome(), nil
}

func (p *peer) welcome() *pb.RegisterFunctionResponse {
	return &pb.RegisterFunctionResponse{HeartbeatInterval: durationpb.New(time.Minute)}
}

func (p *peer) Heartbeat(ctx context.Context, request *pb.HeartbeatRequest) (*pb.HeartbeatResponse, error) {
	if request.Wait != nil {
		<-ctx.Done()
	}
	return &pb.HeartbeatResponse{}, ctx.Err()
}

func (p *peer) Poll(ctx context.Context, request *pb.PollRequest) (*pb.PollResponse, error) {
	p.polls <- request
	select {
	case answer := <-p.answers:
		if err, ok := answer.(error); ok {
			return nil, err
		}
		return answer.(*pb.PollResponse), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *peer) CompleteTasks(_ context.Context, request *pb.CompleteTasksRequest) (*pb.CompleteTasksResponse, error) {
	p.reports <- request
	response := &pb.CompleteTasksResponse{}
	for _, result := range request.Results {
		response.Completions = append(response.Completions, &pb.Completion{
			TaskToken: result.TaskToken,
			Status:    pb.CompletionStatus_COMPLETION_STATUS_APPLIED,
		})
	}
	return response, nil
}

func (p *peer) WorkStream(stream pb.WorkerService_WorkStreamServer) error {
	ended := make(chan error, 1)
	go func() {
		for {
			request, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			if request.Hello != nil {
				p.says <- &pb.WorkStreamResponse{Welcome: p.welcome()}
			}
			p.said <- request
		}
	}()
	for {
		select {
		case response := <-p.says:
			if err := stream.Send(response); err != nil {
				return err
			}
		case err := <-ended:
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// hears returns the next message on the stream of which condition holds.
func (p *peer) hears(t *testing.T, what string, condition func(*pb.WorkStreamRequest) bool) *pb.WorkStreamRequest {
	t.Helper()
	for {
		if message := arrives(t, p.said, what); condition(message) {
			return message
		}
	}
}

func (p *peer) acknowledges(message *pb.WorkStreamRequest, failed *pb.Rejection) {
	p.says <- &pb.WorkStreamResponse{Acknowledgements: []*pb.Acknowledgement{
		{Sequence: message.Sequence, Error: failed},
	}}
}

func task(token string) *pb.Task {
	return &pb.Task{TaskToken: token, TaskId: token, Function: "test.echo", Attempt: 1}
}

func hasResults(message *pb.WorkStreamRequest) bool { return len(message.Results) > 0 }

const streams = "worker-stream"

func TestATaskThatComesTooLateIsGivenBackOverAStream(t *testing.T) {
	t.Parallel()
	peer, client := newPeer(t, streams)
	worker := starflow.NewWorker(client)
	starflow.Register(worker, "test.echo", echo)
	begin(t, worker)

	worker.Stop()
	leaving := peer.hears(t, "the farewell", func(m *pb.WorkStreamRequest) bool { return m.Drain })
	peer.says <- &pb.WorkStreamResponse{Tasks: []*pb.Task{task("late")}}
	result := peer.hears(t, "the result", hasResults)
	peer.acknowledges(leaving, nil)
	peer.acknowledges(result, nil)

	equal(t, result.Results[0].TaskToken, "late")
	equal(t, result.Results[0].GetRelease() != nil, true)
}

func TestResultsThatWereNotStoredAreSentAgain(t *testing.T) {
	t.Parallel()
	peer, client := newPeer(t, streams)
	worker := starflow.NewWorker(client)
	starflow.Register(worker, "test.echo", echo)
	begin(t, worker)

	peer.says <- &pb.WorkStreamResponse{Tasks: []*pb.Task{task("one")}}
	first := peer.hears(t, "the result", hasResults)
	peer.acknowledges(first, &pb.Rejection{Code: int32(codes.Unavailable), Message: "the disk is full"})
	second := peer.hears(t, "the result again", hasResults)
	peer.acknowledges(second, nil)
	worker.Stop()
	leaving := peer.hears(t, "the farewell", func(m *pb.WorkStreamRequest) bool { return m.Drain })
	peer.acknowledges(leaving, nil)

	equal(t, second.Results[0].TaskToken, "one")
	equal(t, second.Sequence > first.Sequence, true)
	equal(t, worker.Wait(), nil)
	equal(t, len(peer.said), 0)
}

func TestProgressThatIsRefusedDoesNotHoldUpResults(t *testing.T) {
	t.Parallel()
	peer, client := newPeer(t, streams)
	worker := starflow.NewWorker(client)
	starflow.Register(worker, "test.echo", func(ctx context.Context, _ struct{}) (any, error) {
		_ = starflow.TaskFrom(ctx).Progress("half")
		return nil, errors.New("not the other half")
	})
	begin(t, worker)

	peer.says <- &pb.WorkStreamResponse{Tasks: []*pb.Task{task("one")}}
	told := peer.hears(t, "the progress", func(m *pb.WorkStreamRequest) bool {
		return len(m.Tasks) > 0 && m.Tasks[0].Progress != nil
	})
	peer.acknowledges(told, &pb.Rejection{Code: int32(codes.InvalidArgument), Message: "too deep"})
	result := peer.hears(t, "the result", hasResults)
	peer.acknowledges(result, nil)
	worker.Stop()
	peer.acknowledges(peer.hears(t, "the farewell", func(m *pb.WorkStreamRequest) bool { return m.Drain }), nil)

	equal(t, told.Tasks[0].Progress.GetJson(), `"half"`)
	equal(t, result.Results[0].GetFailure().GetCode(), "ERROR")
	equal(t, worker.Wait(), nil)
}

func TestAPollThatFailedIsSentAgain(t *testing.T) {
	t.Parallel()
	peer, client := newPeer(t)
	worker := starflow.NewWorker(client)
	starflow.Register(worker, "test.echo", echo)
	begin(t, worker)

	first := arrives(t, peer.polls, "a poll")
	peer.answers <- status.Error(codes.Unavailable, "lost")
	again := arrives(t, peer.polls, "the poll again")
	peer.answers <- &pb.PollResponse{}
	next := arrives(t, peer.polls, "the next poll")

	equal(t, again.PollId, first.PollId)
	equal(t, next.PollId != first.PollId, true)
	equal(t, first.PollId != "", true)
}

func TestATaskThatComesTooLateIsGivenBackByAPoll(t *testing.T) {
	t.Parallel()
	peer, client := newPeer(t)
	worker := starflow.NewWorker(client)
	starflow.Register(worker, "test.echo", echo)
	begin(t, worker)
	open := arrives(t, peer.polls, "a poll")

	worker.Stop()
	last := arrives(t, peer.polls, "the poll again")
	peer.answers <- &pb.PollResponse{Tasks: []*pb.Task{task("late")}}
	report := arrives(t, peer.reports, "the report")

	equal(t, last.PollId, open.PollId)
	equal(t, last.Wait == nil, true)
	equal(t, report.Results[0].TaskToken, "late")
	equal(t, report.Results[0].GetRelease() != nil, true)
}

func TestAWorkerPollsWhereNoStreamGetsThrough(t *testing.T) {
	t.Parallel()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner, _ := newPeer(t, streams)
	service := grpc.NewServer(grpc.StreamInterceptor(
		func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
			return status.Error(codes.Unimplemented, "no streams here")
		}))
	pb.RegisterWorkflowServiceServer(service, inner)
	pb.RegisterWorkerServiceServer(service, inner)
	go func() { _ = service.Serve(door) }()
	t.Cleanup(service.Stop)
	client := newClient(t, &server{port: door.Addr().(*net.TCPAddr).Port})
	worker := starflow.NewWorker(client)
	starflow.Register(worker, "test.echo", echo)
	begin(t, worker)

	arrives(t, inner.polls, "a poll")
}

func TestAWaitEndsAtOnceWithItsContext(t *testing.T) {
	t.Parallel()
	peer, client := newPeer(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- client.Run("any").Result(ctx, nil) }()

	arrives(t, peer.waiting, "the request")
	cancel()

	equal(t, arrives(t, peer.waits, "the end of the request"), context.Canceled)
	equal(t, errors.Is(arrives(t, ended, "the end"), context.Canceled), true)
}
