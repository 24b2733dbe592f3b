package starflow

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// QueueLimits is what bounds the calls of a queue. At least one of them is set.
type QueueLimits struct {
	// MaxInFlight is the most tasks that workers may have at a time; 0 sets no limit.
	MaxInFlight int
	// Rate is how many tasks may be handed out in a time; nil sets no limit.
	Rate *QueueRate
}

// QueueRate bounds how many tasks are handed out in a time, by a bucket of tokens that
// fills steadily.
type QueueRate struct {
	// Tokens come in each Period; a second unless set.
	Tokens int
	Period time.Duration
	// Burst is how many tokens the bucket holds; as many as Tokens unless set.
	Burst int
}

// QueueStatus is a queue that was set, as it stands.
type QueueStatus struct {
	Name   string
	Limits QueueLimits
	// InFlight tasks workers have, Waiting calls wait for their turn.
	InFlight, Waiting int
	// OldestCallTime is when the oldest of those that wait was recorded; zero if none is.
	OldestCallTime time.Time
	// Tokens are those in the bucket.
	Tokens float64
}

// SetQueue sets the limits of a queue, or replaces them; see [Queue].
func (c *Client) SetQueue(ctx context.Context, name string, limits QueueLimits) (*QueueStatus, error) {
	request := &pb.SetQueueRequest{Namespace: c.options.namespace, Name: name, Limits: limits.message()}
	response, err := call(ctx, c, c.queues.SetQueue, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return queueStatusFrom(response.Queue), nil
}

// DeleteQueue takes the limits of a queue away, and reports whether there were any.
func (c *Client) DeleteQueue(ctx context.Context, name string) (bool, error) {
	request := &pb.DeleteQueueRequest{Namespace: c.options.namespace, Name: name}
	response, err := call(ctx, c, c.queues.DeleteQueue, request, 0, c.options.patience)
	if err != nil {
		return false, err
	}
	return response.Deleted, nil
}

// Queues returns the queues that were set, by name. An error is the last that comes.
func (c *Client) Queues(ctx context.Context) iter.Seq2[*QueueStatus, error] {
	return pages(func(token string) ([]*QueueStatus, string, error) {
		request := &pb.ListQueuesRequest{Namespace: c.options.namespace, PageToken: token}
		response, err := call(ctx, c, c.queues.ListQueues, request, 0, c.options.patience)
		if err != nil {
			return nil, "", err
		}
		return mapped(response.Queues, queueStatusFrom), response.NextPageToken, nil
	})
}

func (l QueueLimits) message() *pb.QueueLimits {
	message := &pb.QueueLimits{MaxInFlight: int32(l.MaxInFlight)}
	if l.Rate != nil {
		message.Rate = &pb.QueueRate{Tokens: int32(l.Rate.Tokens), Burst: int32(l.Rate.Burst)}
		if l.Rate.Period != 0 {
			message.Rate.Period = durationpb.New(l.Rate.Period)
		}
	}
	return message
}

func queueStatusFrom(queue *pb.Queue) *QueueStatus {
	status := &QueueStatus{
		Name:           queue.Name,
		Limits:         QueueLimits{MaxInFlight: int(queue.Limits.GetMaxInFlight())},
		InFlight:       int(queue.InFlight),
		Waiting:        int(queue.Waiting),
		OldestCallTime: timeOf(queue.OldestCallTime),
		Tokens:         queue.Tokens,
	}
	if rate := queue.Limits.GetRate(); rate != nil {
		status.Limits.Rate = &QueueRate{int(rate.Tokens), rate.Period.AsDuration(), int(rate.Burst)}
	}
	return status
}
