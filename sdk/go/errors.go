package starflow

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What the service can answer to a request, as a tree: an error that is ErrRunNotFound
// is ErrNotFound, too. [RequestError] has the details.
var (
	// ErrInvalidRequest: sending it again cannot help.
	ErrInvalidRequest = &class{text: "the request is wrong"}
	// ErrPayloadInvalid: a payload is not JSON as the service defines it.
	ErrPayloadInvalid = &class{"a payload is invalid", ErrInvalidRequest}
	// ErrTooLarge: a payload, a script or a request is over a limit.
	ErrTooLarge = &class{"too large", ErrInvalidRequest}
	// ErrScriptInvalid: the script does not parse or has no main(ctx, input).
	ErrScriptInvalid = &class{"the script is invalid", ErrInvalidRequest}
	// ErrFunctionUnknown: the script calls functions that no worker ever registered.
	ErrFunctionUnknown = &class{"a function is unknown", ErrInvalidRequest}

	// ErrNotFound: there is no such thing.
	ErrNotFound = &class{text: "not found"}
	// ErrRunNotFound: there is no such run.
	ErrRunNotFound = &class{"run not found", ErrNotFound}
	// ErrScriptNotFound: no stored script has this hash; send the text.
	ErrScriptNotFound = &class{"script not found", ErrNotFound}

	// ErrConflict: the id is taken by something else.
	ErrConflict = &class{text: "conflict"}
	// ErrRunIDConflict: the run id belongs to a run with another script or input.
	ErrRunIDConflict = &class{"the run id is taken", ErrConflict}
	// ErrSignalConflict: the signal was delivered before, with another content.
	ErrSignalConflict = &class{"the signal was delivered before", ErrConflict}
	// ErrRunDeleted: a run of this id was deleted, and is not to be started anew.
	ErrRunDeleted = &class{"the run was deleted", ErrConflict}

	// ErrNotPossible: not in the state that the run or the worker is in.
	ErrNotPossible = &class{text: "not possible now"}
	// ErrRunFinished: the run has finished.
	ErrRunFinished = &class{"the run has finished", ErrNotPossible}
	// ErrRunNotFinished: only finished runs can be deleted.
	ErrRunNotFinished = &class{"the run has not finished", ErrNotPossible}
	// ErrSignalNotExpected: the run never had this signal id, or does not wait for it.
	ErrSignalNotExpected = &class{"the signal is not expected", ErrNotPossible}
	// ErrWorkerNotRegistered: the service does not know the worker (any more).
	ErrWorkerNotRegistered = &class{"the worker is not registered", ErrNotPossible}
	// ErrVersionOutOfRange: the version lies past the end of the log.
	ErrVersionOutOfRange = &class{"the version is out of range", ErrNotPossible}

	// ErrRateLimited: a quota or a rate limit; try later.
	ErrRateLimited = &class{text: "rate limited"}
	// ErrSignalsFull: the run holds too many signals by name that nobody has taken.
	ErrSignalsFull = &class{"too many signals are kept", ErrRateLimited}

	// ErrUnavailable: the service cannot be reached or cannot answer now; try later.
	ErrUnavailable = &class{text: "unavailable"}
	// ErrServiceFault: a defect of the service. The message holds an id for its log.
	ErrServiceFault = &class{text: "a defect of the service"}
)

// What waiting for a run can come to; see [Run.Result].
var (
	// ErrRunFailed: the run ended with a failure; see [RunFailedError].
	ErrRunFailed = &class{text: "the run failed"}
	// ErrRunCancelled: the run ended because somebody asked it to. It is an ErrRunFailed.
	ErrRunCancelled = &class{"the run was cancelled", ErrRunFailed}
	// ErrRunYielded: the run waits for a signal; see [RunYieldedError].
	ErrRunYielded = &class{text: "the run waits for a signal"}
	// ErrRunPaused: the service holds the run back; see [RunPausedError].
	ErrRunPaused = &class{text: "the run is paused"}
)

// Why the context of a function ended, by [context.Cause].
var (
	// ErrAbandoned: the task is somebody else's now; what the function returns is ignored.
	ErrAbandoned = &class{text: "the task is abandoned"}
	// ErrNotWanted: nobody waits for the task any more: its run was cancelled, or its
	// script gave the call up.
	ErrNotWanted = &class{text: "nobody waits for the task any more"}
	// ErrShutdown: the worker ends, and has given the task back.
	ErrShutdown = &class{text: "the worker shuts down"}
)

// class is a kind of error, which may be a kind of another.
type class struct {
	text   string
	parent *class
}

func (c *class) Error() string { return "starflow: " + c.text }

// Is reports whether target is c or what c is a kind of.
func (c *class) Is(target error) bool {
	for ; c != nil; c = c.parent {
		if error(c) == target {
			return true
		}
	}
	return false
}

// RequestError is a request that the service refused, or did not answer. [errors.Is]
// tells its class, such as [ErrRunNotFound].
type RequestError struct {
	Message string
	// Status is the gRPC status.
	Status codes.Code
	// Reason is a name out of starflow.v1.ErrorReason, such as RUN_NOT_FOUND; empty if
	// the answer came from the way and not from the service.
	Reason string
	// Metadata names what the reason is about.
	Metadata map[string]string
	// RetryAfter is how long the service asks to wait; 0 if it does not say.
	RetryAfter time.Duration

	class *class
}

func (e *RequestError) Error() string {
	if e.Reason == "" {
		return "starflow: " + e.Message
	}
	return fmt.Sprintf("starflow: %s: %s", e.Reason, e.Message)
}

// Is reports whether the error belongs to the class target.
func (e *RequestError) Is(target error) bool { return e.class.Is(target) }

// GRPCStatus lets [status.FromError] see through the error.
func (e *RequestError) GRPCStatus() *status.Status {
	return status.New(e.Status, e.Message)
}

// RunFailedError is a run that ended with a failure. It is [ErrRunFailed], and
// [ErrRunCancelled] if somebody asked the run to end; it wraps the [Failure].
type RunFailedError struct {
	RunID   string
	Failure *Failure
	// Cancelled says whether somebody asked the run to end.
	Cancelled bool
}

func (e *RunFailedError) Error() string {
	came := "failed"
	if e.Cancelled {
		came = "was cancelled"
	}
	return fmt.Sprintf("starflow: run %s %s: %v", e.RunID, came, e.Failure)
}

// Is reports whether target is ErrRunFailed, or ErrRunCancelled if it was.
func (e *RunFailedError) Is(target error) bool {
	if e.Cancelled {
		return ErrRunCancelled.Is(target)
	}
	return ErrRunFailed.Is(target)
}

// Unwrap returns the failure.
func (e *RunFailedError) Unwrap() error { return e.Failure }

// RunYieldedError is a run that only a signal can move on. It is [ErrRunYielded].
type RunYieldedError struct {
	RunID string
	// SignalIDs are what calls that yielded wait for, the longest wait first.
	SignalIDs []string
	// SignalNames are what the script waits for, the longest wait first.
	SignalNames []string
}

func (e *RunYieldedError) Error() string {
	awaited := append(append([]string(nil), e.SignalIDs...), e.SignalNames...)
	return fmt.Sprintf("starflow: run %s waits for the signal %s", e.RunID, strings.Join(awaited, ", "))
}

// Is reports whether target is ErrRunYielded.
func (e *RunYieldedError) Is(target error) bool { return target == error(ErrRunYielded) }

// RunPausedError is a run that the service holds back until somebody mends the reason.
// It is [ErrRunPaused].
type RunPausedError struct {
	RunID string
	// Reason is a name out of starflow.v1.PauseReason, such as LIMIT.
	Reason  string
	Message string
}

func (e *RunPausedError) Error() string {
	return fmt.Sprintf("starflow: run %s is paused (%s): %s", e.RunID, e.Reason, e.Message)
}

// Is reports whether target is ErrRunPaused.
func (e *RunPausedError) Is(target error) bool { return target == error(ErrRunPaused) }

// ConversionError is a value that has no JSON form, or JSON that is not what a type asks
// for.
type ConversionError struct {
	Problem string
	cause   error
}

func (e *ConversionError) Error() string { return "starflow: " + e.Problem }

// Unwrap returns the error of encoding/json, if it was one.
func (e *ConversionError) Unwrap() error { return e.cause }
