package starflow

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const errorDomain = "starflow.v1"

var classByReason = map[string]*class{
	"FIELD_INVALID":         ErrInvalidRequest,
	"PAYLOAD_INVALID":       ErrPayloadInvalid,
	"TOO_LARGE":             ErrTooLarge,
	"SCRIPT_INVALID":        ErrScriptInvalid,
	"FUNCTION_UNKNOWN":      ErrFunctionUnknown,
	"RUN_NOT_FOUND":         ErrRunNotFound,
	"SCRIPT_NOT_FOUND":      ErrScriptNotFound,
	"RUN_ID_CONFLICT":       ErrRunIDConflict,
	"SIGNAL_CONFLICT":       ErrSignalConflict,
	"RUN_FINISHED":          ErrRunFinished,
	"SIGNAL_NOT_EXPECTED":   ErrSignalNotExpected,
	"WORKER_NOT_REGISTERED": ErrWorkerNotRegistered,
	"VERSION_OUT_OF_RANGE":  ErrVersionOutOfRange,
	"RATE_LIMITED":          ErrRateLimited,
	"SIGNALS_FULL":          ErrSignalsFull,
	"RUN_DELETED":           ErrRunDeleted,
	"RUN_NOT_FINISHED":      ErrRunNotFinished,
	"STORE_UNAVAILABLE":     ErrUnavailable,
	"SERVER_DRAINING":       ErrUnavailable,
	"INTERNAL":              ErrServiceFault,
}

// Reasons come first; a newer server may give one that this release does not know.
var classByStatus = map[codes.Code]*class{
	codes.InvalidArgument:    ErrInvalidRequest,
	codes.Unauthenticated:    ErrInvalidRequest,
	codes.PermissionDenied:   ErrInvalidRequest,
	codes.Unimplemented:      ErrInvalidRequest,
	codes.NotFound:           ErrNotFound,
	codes.AlreadyExists:      ErrConflict,
	codes.FailedPrecondition: ErrNotPossible,
	codes.OutOfRange:         ErrNotPossible,
	codes.ResourceExhausted:  ErrRateLimited,
	codes.Unavailable:        ErrUnavailable,
	codes.Aborted:            ErrUnavailable,
	// The service never ends a call so: it did not answer in time, or something on the
	// way cut the call off.
	codes.DeadlineExceeded: ErrUnavailable,
	codes.Canceled:         ErrUnavailable,
}

// requestError returns the error of this package for a failed call to address.
func requestError(err error, address string) *RequestError {
	answer, _ := status.FromError(err)
	failed := &RequestError{Message: answer.Message(), Status: answer.Code()}
	known := failed.readDetails(answer)
	failed.class = classOf(failed, known)
	if failed.class == ErrUnavailable && !known {
		failed.Message = "cannot reach " + address + ": " + failed.Message
	}
	return failed
}

// readDetails takes over what the service says beside the status, and reports whether
// it was the service that spoke.
func (e *RequestError) readDetails(answer *status.Status) bool {
	known := false
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == errorDomain {
				e.Reason, e.Metadata, known = detail.Reason, detail.Metadata, true
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = detail.RetryDelay.AsDuration()
		}
	}
	return known
}

func classOf(failed *RequestError, known bool) *class {
	if found, ok := classByReason[failed.Reason]; ok {
		return found
	}
	switch {
	case !known && isTooLarge(failed):
		return ErrTooLarge
	case !known && strings.HasPrefix(failed.Message, "grpc: error while marshaling"):
		return ErrInvalidRequest // text that is not UTF-8
	case !known && failed.Status == codes.Internal:
		// Without details it does not come from the service, which always gives them,
		// but from a connection that broke in the middle of a call.
		return ErrUnavailable
	}
	if found, ok := classByStatus[failed.Status]; ok {
		return found
	}
	return ErrServiceFault
}

// gRPC answers a message over 4 MiB like a rate limit, which invites to try again for
// ever; only the text tells them apart.
func isTooLarge(failed *RequestError) bool {
	return failed.Status == codes.ResourceExhausted &&
		strings.Contains(failed.Message, "message larger than max")
}

// mayHelpLater reports whether the same request may be answered another time.
func mayHelpLater(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited)
}

func retryAfter(err error) (after time.Duration) {
	var failed *RequestError
	if errors.As(err, &failed) {
		after = failed.RetryAfter
	}
	return after
}

// ended returns how ctx ended, with the last trouble before that, if there was any.
func ended(ctx context.Context, last error) error {
	if last == nil {
		return ctx.Err()
	}
	return errors.Join(ctx.Err(), last)
}
