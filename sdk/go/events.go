package starflow

import (
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// silenceMax: the service speaks every 15 s while it follows a log; two missed words mean
// that nobody is there any more.
const silenceMax = 40 * time.Second

// Events returns the events of the run's log, one after another. An error is the last
// that comes: [ErrRunNotFound], [ErrVersionOutOfRange], [ErrUnavailable] if the service
// was away for longer than the client's patience, or that of ctx.
func (r *Run) Events(ctx context.Context, options ...EventsOption) iter.Seq2[*Event, error] {
	chosen := eventsOptions{from: 1}
	for _, option := range options {
		option(&chosen)
	}
	return func(yield func(*Event, error) bool) {
		reading := &reading{run: r, request: r.eventsRequest(chosen), limit: chosen.limit, yield: yield}
		if err := reading.all(ctx); err != nil {
			yield(nil, err)
		}
	}
}

func (r *Run) eventsRequest(chosen eventsOptions) *pb.GetEventsRequest {
	request := &pb.GetEventsRequest{
		Namespace:    r.client.options.namespace,
		RunId:        r.ID,
		FromVersion:  int32(chosen.from),
		Limit:        int32(chosen.limit),
		Follow:       chosen.follow,
		OmitPayloads: chosen.omitPayloads,
	}
	for _, kind := range chosen.types {
		request.Types = append(request.Types, pb.EventType(pb.EventType_value["EVENT_TYPE_"+string(kind)]))
	}
	return request
}

// reading is one way through a log, over as many streams as it takes.
type reading struct {
	run     *Run
	request *pb.GetEventsRequest // its from_version is what comes next
	limit   int                  // 0: none
	yield   func(*Event, error) bool
	isDone  bool // whoever reads has enough
}

func (r *reading) all(ctx context.Context) error {
	trial := r.run.client.newTrial(r.run.client.options.patience)
	for {
		err := r.stream(ctx, trial)
		if r.isDone {
			return nil
		}
		if err == nil {
			// A server that goes away ends its streams; only the run's end ends a log that
			// is followed.
			if isRead, err := r.isRead(ctx); isRead || err != nil {
				return err
			}
			err = &RequestError{Message: "the stream ended", Status: codes.Unavailable, class: ErrUnavailable}
		}
		if err := trial.pause(ctx, err.(*RequestError)); err != nil {
			return err
		}
	}
}

// stream reads one stream to its end; the error is a *RequestError.
func (r *reading) stream(ctx context.Context, trial *trial) error {
	client := r.run.client
	within, cancel := context.WithCancel(ctx)
	defer cancel() // whoever stops in the middle must not leave the server streaming
	silence := time.AfterFunc(silenceMax, cancel)
	defer silence.Stop()
	stream, err := client.workflows.GetEvents(within, r.request)
	for err == nil {
		var batch *pb.GetEventsResponse
		if batch, err = stream.Recv(); err == nil {
			silence.Reset(silenceMax)
			trial.succeeded()
			r.take(batch)
			if r.isDone {
				return nil
			}
		}
	}
	if err == io.EOF {
		return nil
	}
	return requestError(err, client.address)
}

func (r *reading) take(batch *pb.GetEventsResponse) {
	for _, message := range batch.Events {
		if !r.yield(eventFrom(message), nil) {
			r.isDone = true
			return
		}
	}
	r.request.FromVersion = batch.NextVersion
	if r.limit > 0 {
		r.request.Limit -= int32(len(batch.Events))
		r.isDone = r.request.Limit <= 0
	}
}

// isRead reports, after a stream has ended by itself, whether there was nothing more.
func (r *reading) isRead(ctx context.Context) (bool, error) {
	if !r.request.Follow {
		return true, nil
	}
	info, err := r.run.Get(ctx)
	if err != nil {
		return false, err
	}
	return info.Finished() && int32(info.Version) < r.request.FromVersion, nil
}
