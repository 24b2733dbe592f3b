package starflow

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

const (
	// messageBytesMax is gRPC's own limit in every language; the service keeps it.
	messageBytesMax = 4 << 20
	// waitMax is how long one request may wait at the server; long waits are repeated.
	waitMax = 20 * time.Second
	// What a call gets on top of its wait before it counts as unanswered.
	marginMin, marginMax = 5 * time.Second, 10 * time.Second
	// pauseMax is the longest pause between attempts.
	pauseMax = 2 * time.Second
)

// Client is a connection to the service. All methods may be called from any goroutine,
// and every request is safe to send again, and is, while the service cannot be reached.
type Client struct {
	address   string
	options   clientOptions
	log       *slog.Logger
	channel   *grpc.ClientConn
	workflows pb.WorkflowServiceClient
	workers   pb.WorkerServiceClient
	queues    pb.QueueServiceClient
}

// NewClient returns a client without asking whether a service listens at address: the
// first request connects. Call [Client.Close] at the end.
func NewClient(address string, options ...ClientOption) (*Client, error) {
	chosen := newClientOptions(options)
	channel, err := grpc.NewClient(address, dialOptions(chosen)...)
	if err != nil {
		return nil, fmt.Errorf("starflow: the address %q: %w", address, err)
	}
	return &Client{
		address:   address,
		options:   chosen,
		log:       chosen.logger,
		channel:   channel,
		workflows: pb.NewWorkflowServiceClient(channel),
		workers:   pb.NewWorkerServiceClient(channel),
		queues:    pb.NewQueueServiceClient(channel),
	}, nil
}

// Dial returns a client once the service at address has answered. It fails with
// [ErrUnavailable] if none does within the client's patience.
func Dial(ctx context.Context, address string, options ...ClientOption) (*Client, error) {
	client, err := NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	if _, err := client.ServerInfo(ctx); err != nil {
		_ = client.Close()
		return nil, err
	}
	return client, nil
}

func dialOptions(chosen clientOptions) []grpc.DialOption {
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(chosen.credentials),
		// gRPC's own backoff grows to two minutes. A restarted server holds back the tasks
		// that workers had for a second, and who comes later finds them given away.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: grpcbackoff.Config{
				BaseDelay:  100 * time.Millisecond,
				Multiplier: 1.6,
				Jitter:     0.2,
				MaxDelay:   500 * time.Millisecond,
			},
			MinConnectTimeout: time.Second,
		}),
		// A peer that vanished without a word is noticed while a call waits for it: a new
		// stream would go the same dead way. The service allows pings every 10 s, and
		// whoever hears something needs none.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:    12 * time.Second,
			Timeout: 5 * time.Second,
		}),
		grpc.WithUserAgent("starflow-go/" + Version),
	}, chosen.dial...)
}

// Close closes the connection. What was started goes on.
func (c *Client) Close() error {
	return c.channel.Close()
}

// Start starts a run of script, whose main gets input.
//
// With a [RunID] this is idempotent. Without one an id is made up, so that a repetition
// by the network starts nothing twice.
//
// Errors: [ConversionError], [ErrScriptInvalid], [ErrFunctionUnknown],
// [ErrRunIDConflict].
func (c *Client) Start(ctx context.Context, script string, input any, options ...StartOption) (*Run, error) {
	source := &pb.RunRequest{ScriptSource: &pb.RunRequest_Script{Script: script}}
	return c.start(ctx, source, input, options)
}

// StartBundle starts a run of a script of several files; see [Client.Start].
func (c *Client) StartBundle(ctx context.Context, bundle Bundle, input any, options ...StartOption) (*Run, error) {
	source := &pb.RunRequest{ScriptSource: &pb.RunRequest_Bundle{Bundle: bundle.message()}}
	return c.start(ctx, source, input, options)
}

// StartStored starts a run of a script that the namespace already holds, by its hash; see
// [Client.Start]. It fails with [ErrScriptNotFound] if there is none.
func (c *Client) StartStored(ctx context.Context, scriptHash string, input any, options ...StartOption) (*Run, error) {
	source := &pb.RunRequest{ScriptSource: &pb.RunRequest_ScriptHash{ScriptHash: scriptHash}}
	return c.start(ctx, source, input, options)
}

func (c *Client) start(ctx context.Context, request *pb.RunRequest, input any, options []StartOption) (*Run, error) {
	chosen := startOptions{runID: newID(), conflict: AttachSame}
	for _, option := range options {
		option(&chosen)
	}
	text, err := encode(input)
	if err != nil {
		return nil, err
	}
	request.Namespace = c.options.namespace
	request.RunId = chosen.runID
	request.Input = payload(text)
	request.ConflictPolicy = pb.RunIdConflictPolicy(chosen.conflict)
	request.AllowUnregistered = chosen.allowUnregistered
	request.Wait = optionalDuration(chosen.wait)
	request.Labels, request.Headers = chosen.labels, chosen.headers
	response, err := call(ctx, c, c.workflows.Run, request, chosen.wait, c.options.patience)
	if err != nil {
		return nil, err
	}
	return &Run{ID: response.Run.RunId, Created: response.Created, client: c}, nil
}

// Run returns a handle to the run, without asking whether there is one.
func (c *Client) Run(id string) *Run {
	return &Run{ID: id, client: c}
}

// Validate checks a script without running it. A bad script is no error but an answer.
func (c *Client) Validate(ctx context.Context, script string) (*Validation, error) {
	return c.validate(ctx, &pb.ValidateScriptRequest{Script: script})
}

// ValidateBundle checks a script of several files; see [Client.Validate].
func (c *Client) ValidateBundle(ctx context.Context, bundle Bundle) (*Validation, error) {
	return c.validate(ctx, &pb.ValidateScriptRequest{Bundle: bundle.message()})
}

func (c *Client) validate(ctx context.Context, request *pb.ValidateScriptRequest) (*Validation, error) {
	request.Namespace = c.options.namespace
	response, err := call(ctx, c, c.workflows.ValidateScript, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return validationFrom(response), nil
}

// ServerInfo returns the server's version, capabilities and limits.
func (c *Client) ServerInfo(ctx context.Context) (*ServerInfo, error) {
	request := &pb.GetServerInfoRequest{}
	response, err := call(ctx, c, c.workflows.GetServerInfo, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return serverInfoFrom(response), nil
}

// forever is the patience of calls that only their context ends.
const forever = time.Duration(-1)

type method[Q, A any] func(context.Context, Q, ...grpc.CallOption) (A, error)

// call sends a request until it is answered, or patience or ctx has ended. The server may
// take wait to answer.
func call[Q proto.Message, A any](
	ctx context.Context, c *Client, send method[Q, A], request Q, wait, patience time.Duration,
) (A, error) {
	var none A
	if size := proto.Size(request); size > messageBytesMax {
		problem := fmt.Sprintf("the request has %d bytes, more than %d", size, messageBytesMax)
		return none, &RequestError{Message: problem, Status: codes.InvalidArgument, Reason: "TOO_LARGE", class: ErrTooLarge}
	}
	margin := marginMax
	if patience != forever {
		margin = min(max(patience, marginMin), marginMax)
	}
	trial := c.newTrial(patience)
	for {
		answer, err := sendWithin(ctx, send, request, wait+margin)
		if err == nil {
			return answer, nil
		}
		if err := trial.pause(ctx, requestError(err, c.address)); err != nil {
			return none, err
		}
	}
}

// sendWithin sends a request without telling the server of ctx's deadline: it would
// answer a margin early, and a wait until the deadline would be repeated in vain.
func sendWithin[Q, A any](ctx context.Context, send method[Q, A], request Q, timeout time.Duration) (A, error) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return send(within, request)
}

// trial is one request's way through an outage: pauses, and the end of patience.
type trial struct {
	client   *Client
	patience time.Duration
	backoff  *backoff
	since    time.Time // when the outage began; zero while there is none
}

func (c *Client) newTrial(patience time.Duration) *trial {
	return &trial{client: c, patience: patience, backoff: newBackoff(pauseMax)}
}

// succeeded forgets the outage: the service answered.
func (t *trial) succeeded() {
	t.since = time.Time{}
	t.backoff.reset()
}

// pause waits before another attempt, or returns the error if that is of no use.
func (t *trial) pause(ctx context.Context, failed *RequestError) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !mayHelpLater(failed) {
		return failed
	}
	if t.since.IsZero() {
		t.since = time.Now()
		t.client.log.Info("starflow: trying again", "error", failed)
	}
	pause := t.backoff.pause(failed.RetryAfter)
	if t.patience != forever && time.Since(t.since)+pause > t.patience {
		return failed
	}
	if !sleep(ctx, pause) {
		return ended(ctx, failed)
	}
	return nil
}

func newID() string {
	return rand.Text()
}

func optionalDuration(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}
