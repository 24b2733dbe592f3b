package starflow

import (
	"context"

	pb "github.com/starflow/starflow-go/starflowv1"
)

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
