package starflow

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// DefaultAddress is where a service listens unless it is told otherwise.
	DefaultAddress = "127.0.0.1:7233"
	// DefaultNamespace is where runs are unless somebody says otherwise.
	DefaultNamespace = "default"
)

// ClientOption is something that [NewClient] and [Dial] can be told.
type ClientOption func(*clientOptions)

type clientOptions struct {
	namespace   string
	patience    time.Duration
	logger      *slog.Logger
	credentials credentials.TransportCredentials
	dial        []grpc.DialOption
}

func newClientOptions(options []ClientOption) clientOptions {
	chosen := clientOptions{
		namespace:   DefaultNamespace,
		patience:    10 * time.Second,
		logger:      slog.Default(),
		credentials: insecure.NewCredentials(),
	}
	for _, option := range options {
		option(&chosen)
	}
	return chosen
}

// Namespace is where the client's runs and its workers' functions are.
func Namespace(name string) ClientOption {
	return func(o *clientOptions) { o.namespace = name }
}

// Credentials are for a service behind TLS; without them the connection is plain.
func Credentials(given credentials.TransportCredentials) ClientOption {
	return func(o *clientOptions) { o.credentials = given }
}

// Patience is how long a request is repeated while the service cannot be reached: 10 s
// unless given. Waiting for a result is as patient as its context.
func Patience(given time.Duration) ClientOption {
	return func(o *clientOptions) { o.patience = given }
}

// Logger takes what the client and its workers have to say; [slog.Default] unless given.
func Logger(logger *slog.Logger) ClientOption {
	return func(o *clientOptions) { o.logger = logger }
}

// DialOptions are for gRPC itself, such as interceptors.
func DialOptions(options ...grpc.DialOption) ClientOption {
	return func(o *clientOptions) { o.dial = append(o.dial, options...) }
}

// ConflictPolicy says what to do when a run id is taken.
type ConflictPolicy int

const (
	// AttachSame finds the run that exists if it has the same script and input.
	AttachSame ConflictPolicy = 1 + iota
	// AttachAny finds the run that exists, whatever it was started with.
	AttachAny
	// FailIfTaken refuses: [ErrRunIDConflict].
	FailIfTaken
)

// StartOption is something that [Client.Start] can be told.
type StartOption func(*startOptions)

type startOptions struct {
	runID             string
	conflict          ConflictPolicy
	allowUnregistered bool
	wait              time.Duration
	labels, headers   map[string]string
}

// RunID names the run. Starting it again finds it: the same id, script and input are the
// same run.
func RunID(id string) StartOption {
	return func(o *startOptions) { o.runID = id }
}

// OnConflict says what to do when the run id is taken; [AttachSame] unless given.
func OnConflict(policy ConflictPolicy) StartOption {
	return func(o *startOptions) { o.conflict = policy }
}

// AllowUnregistered accepts a script that calls functions which no worker has registered
// yet. The calls wait for a worker.
func AllowUnregistered() StartOption {
	return func(o *startOptions) { o.allowUnregistered = true }
}

// Labels are what the run is found by in [Client.List]; the script does not see them.
func Labels(labels map[string]string) StartOption {
	return func(o *startOptions) { o.labels = labels }
}

// Headers are context for the run's tasks, such as traceparent: see [Task.Headers].
func Headers(headers map[string]string) StartOption {
	return func(o *startOptions) { o.headers = headers }
}

// StartWait is how long [Client.Start] stays for the run to finish or to yield.
func StartWait(most time.Duration) StartOption {
	return func(o *startOptions) { o.wait = most }
}

// WaitOption is something that [Run.Wait] and [Run.Result] can be told.
type WaitOption func(*waitOptions)

type waitOptions struct {
	throughYields bool
}

// ThroughYields goes on waiting when the run needs a signal.
func ThroughYields() WaitOption {
	return func(o *waitOptions) { o.throughYields = true }
}

// SignalOption is something that [Run.Signal] and [Run.SignalName] can be told.
type SignalOption func(*signalOptions)

type signalOptions struct {
	onlyIfWaiting bool
	requestID     string
}

// OnlyIfWaiting refuses the signal, rather than keep it, when the run does not wait for
// it at this moment.
func OnlyIfWaiting() SignalOption {
	return func(o *signalOptions) { o.onlyIfWaiting = true }
}

// RequestID is the sender's id of a signal by name, so that the same signal sent again
// is recognised. One is made up unless given.
func RequestID(id string) SignalOption {
	return func(o *signalOptions) { o.requestID = id }
}

// EventsOption is something that [Run.Events] can be told.
type EventsOption func(*eventsOptions)

type eventsOptions struct {
	from         int
	limit        int
	follow       bool
	types        []EventType
	omitPayloads bool
}

// FromVersion begins there and not at the start of the log.
func FromVersion(version int) EventsOption {
	return func(o *eventsOptions) { o.from = version }
}

// Limit ends after so many events.
func Limit(most int) EventsOption {
	return func(o *eventsOptions) { o.limit = most }
}

// Follow goes on with every new event until the run has finished, over broken
// connections and restarts of the service, without a gap or a repetition.
func Follow() EventsOption {
	return func(o *eventsOptions) { o.follow = true }
}

// OnlyTypes leaves out events of other types.
func OnlyTypes(types ...EventType) EventsOption {
	return func(o *eventsOptions) { o.types = types }
}

// OmitPayloads leaves out inputs and outputs.
func OmitPayloads() EventsOption {
	return func(o *eventsOptions) { o.omitPayloads = true }
}
