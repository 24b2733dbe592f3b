package starflow

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// Filter selects runs: all that is set must hold.
type Filter struct {
	// States are those of which the run has one.
	States []RunState
	// Labels are those that the run has, with exactly these values.
	Labels map[string]string
	// CreatedSince and CreatedBefore bound when the run was accepted.
	CreatedSince, CreatedBefore time.Time
	// OnlyPaused leaves out runs that are not held back.
	OnlyPaused bool
	// ScriptHash is that of the run's script.
	ScriptHash string
	// IDPrefix is what the run's id begins with.
	IDPrefix string
}

// List returns the runs of the namespace that filter selects, newest first. Of each run
// it tells only ID, Namespace, State, Paused, PauseReason, CancelRequested, ScriptHash,
// Labels, Version, CreateTime, FinishTime and Restarts; [Run.Get] tells the rest. An
// error is the last that comes.
func (c *Client) List(ctx context.Context, filter Filter) iter.Seq2[*RunInfo, error] {
	selected := filter.message()
	return pages(func(token string) ([]*RunInfo, string, error) {
		request := &pb.ListRunsRequest{Namespace: c.options.namespace, PageToken: token, Filter: selected}
		response, err := call(ctx, c, c.workflows.ListRuns, request, 0, c.options.patience)
		if err != nil {
			return nil, "", err
		}
		return mapped(response.Runs, runInfoFrom), response.NextPageToken, nil
	})
}

func (f Filter) message() *pb.RunFilter {
	message := &pb.RunFilter{
		Labels:             f.Labels,
		ScriptHash:         f.ScriptHash,
		RunIdPrefix:        f.IDPrefix,
		EarliestCreateTime: optionalTime(f.CreatedSince),
		LatestCreateTime:   optionalTime(f.CreatedBefore),
	}
	for _, state := range f.States {
		message.States = append(message.States, pb.RunState(pb.RunState_value["RUN_STATE_"+string(state)]))
	}
	if f.OnlyPaused {
		message.Paused = &f.OnlyPaused
	}
	return message
}

// FunctionStatus is a registered function, as it stands; or one that nobody registered,
// while calls of it wait.
type FunctionStatus struct {
	Name        string
	Description string
	// Registered says whether it ever was.
	Registered bool
	// Workers is how many live workers offer it, and WorkerIDs are some of theirs.
	Workers   int
	WorkerIDs []string
	// Queued calls wait for a worker or for their turn, Leased ones a worker has.
	Queued, Leased int
	// OldestCallTime is when the oldest of those that wait was recorded; zero if none is.
	OldestCallTime time.Time
}

// Functions returns the namespace's functions by name. An error is the last that comes.
func (c *Client) Functions(ctx context.Context) iter.Seq2[*FunctionStatus, error] {
	return pages(func(token string) ([]*FunctionStatus, string, error) {
		request := &pb.ListFunctionsRequest{Namespace: c.options.namespace, PageToken: token}
		response, err := call(ctx, c, c.workers.ListFunctions, request, 0, c.options.patience)
		if err != nil {
			return nil, "", err
		}
		return mapped(response.Functions, functionStatusFrom), response.NextPageToken, nil
	})
}

func functionStatusFrom(message *pb.FunctionStatus) *FunctionStatus {
	return &FunctionStatus{
		Name:           message.Spec.GetName(),
		Description:    message.Spec.GetDescription(),
		Registered:     message.Registered,
		Workers:        int(message.WorkerCount),
		WorkerIDs:      message.WorkerIds,
		Queued:         int(message.QueuedCalls),
		Leased:         int(message.LeasedCalls),
		OldestCallTime: timeOf(message.OldestCallTime),
	}
}

// WorkerStatus is a worker that showed itself lately, as it stands.
type WorkerStatus struct {
	ID      string
	SDK     string
	BuildID string
	Labels  map[string]string
	// Functions are those that it offers, by name.
	Functions []string
	// Held is how many tasks it has.
	Held     int
	LastSeen time.Time
	// Connection is how it gets its tasks: NONE, POLL or STREAM.
	Connection string
	// Live says whether it was heard of lately, Draining whether it gets no more tasks.
	Live, Draining bool
}

// Workers returns the namespace's workers by id. An error is the last that comes.
func (c *Client) Workers(ctx context.Context) iter.Seq2[*WorkerStatus, error] {
	return pages(func(token string) ([]*WorkerStatus, string, error) {
		request := &pb.ListWorkersRequest{Namespace: c.options.namespace, PageToken: token}
		response, err := call(ctx, c, c.workers.ListWorkers, request, 0, c.options.patience)
		if err != nil {
			return nil, "", err
		}
		return mapped(response.Workers, workerStatusFrom), response.NextPageToken, nil
	})
}

func workerStatusFrom(message *pb.WorkerStatus) *WorkerStatus {
	return &WorkerStatus{
		ID:         message.Worker.GetWorkerId(),
		SDK:        message.Worker.GetSdk(),
		BuildID:    message.Worker.GetBuildId(),
		Labels:     message.Worker.GetLabels(),
		Functions:  message.Functions,
		Held:       int(message.HeldTasks),
		LastSeen:   timeOf(message.LastSeenTime),
		Connection: enumName(message.Connection, "WORKER_CONNECTION_"),
		Live:       message.Live,
		Draining:   message.Draining,
	}
}

// pages returns what all pages hold, one after another.
func pages[T any](page func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token, isFirst := "", true; isFirst || token != ""; isFirst = false {
			found, next, err := page(token)
			for _, each := range found {
				if !yield(each, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			token = next
		}
	}
}

func mapped[From, To any](all []From, change func(From) To) []To {
	changed := make([]To, len(all))
	for i, each := range all {
		changed[i] = change(each)
	}
	return changed
}

func optionalTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// DrainWorker ends a worker gracefully, whoever runs it: it gets no more tasks, and
// [Worker.Run] ends when those under way have. It returns how many those are, or
// [ErrWorkerNotRegistered].
func (c *Client) DrainWorker(ctx context.Context, workerID string) (held int, err error) {
	request := &pb.DrainWorkerRequest{Namespace: c.options.namespace, WorkerId: workerID}
	response, err := call(ctx, c, c.workers.DrainWorker, request, 0, c.options.patience)
	if err != nil {
		return 0, err
	}
	return int(response.HeldTasks), nil
}
