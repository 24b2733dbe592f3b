package starflow

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// Run is a handle to one run.
type Run struct {
	// ID names the run in its namespace.
	ID string
	// Created says whether [Client.Start] started it (false: it found an existing run).
	Created bool

	client *Client
}

// Get returns the run as it stands, or [ErrRunNotFound].
func (r *Run) Get(ctx context.Context) (*RunInfo, error) {
	return r.get(ctx, pb.RunView_RUN_VIEW_FULL)
}

// GetWithScript returns the run as it stands, and the script's text.
func (r *Run) GetWithScript(ctx context.Context) (*RunInfo, error) {
	return r.get(ctx, pb.RunView_RUN_VIEW_WITH_SCRIPT)
}

func (r *Run) get(ctx context.Context, view pb.RunView) (*RunInfo, error) {
	c := r.client
	request := &pb.GetRunRequest{Namespace: c.options.namespace, RunId: r.ID, View: view}
	response, err := call(ctx, c, c.workflows.GetRun, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return runInfoFrom(response.Run), nil
}

// Wait waits until the run is finished, yields or is paused, and returns it as it stands.
// It waits as long as ctx lets it, also while the service is away.
//
// When ctx ends first, the error is that of ctx, and the run is returned as it stood when
// the service last told; nil if it never did.
func (r *Run) Wait(ctx context.Context, options ...WaitOption) (*RunInfo, error) {
	var chosen waitOptions
	for _, option := range options {
		option(&chosen)
	}
	c := r.client
	request := &pb.GetRunRequest{Namespace: c.options.namespace, RunId: r.ID}
	if chosen.throughYields {
		request.WaitUntil = pb.WaitUntil_WAIT_UNTIL_FINISHED
	}
	var info *RunInfo
	for ctx.Err() == nil {
		wait := timeLeft(ctx, waitMax)
		request.Wait = durationpb.New(wait)
		response, err := call(ctx, c, c.workflows.GetRun, request, wait, forever)
		if err != nil {
			return info, err
		}
		info = runInfoFrom(response.Run)
		hasYielded := info.State == StateYielded && !chosen.throughYields
		if info.Finished() || info.Paused || hasYielded {
			return info, nil
		}
	}
	return info, ctx.Err()
}

// timeLeft returns the time until ctx ends, but no more than most.
func timeLeft(ctx context.Context, most time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(min(time.Until(deadline), most), 0)
	}
	return most
}

// Result waits as [Run.Wait] does, and reads the output of the run into out, a pointer;
// nil if it is of no interest.
//
// Errors: [RunFailedError], [RunYieldedError], [RunPausedError], [ErrRunNotFound],
// [ConversionError] if the output does not fit out; and that of ctx, wrapped.
func (r *Run) Result(ctx context.Context, out any, options ...WaitOption) error {
	info, err := r.Wait(ctx, options...)
	switch {
	case err != nil && info != nil:
		return fmt.Errorf("starflow: run %s is %s: %w", r.ID, info.State, err)
	case err != nil:
		return err
	case info.State != StateSucceeded:
		return whyNot(info)
	case out == nil:
		return nil
	}
	return Decode(info.Output, out)
}

// whyNot returns what a run came to that was waited for and has not succeeded.
func whyNot(info *RunInfo) error {
	switch {
	case info.Failure != nil:
		return &RunFailedError{RunID: info.ID, Failure: info.Failure, Cancelled: info.State == StateCancelled}
	case info.Paused:
		return &RunPausedError{RunID: info.ID, Reason: info.PauseReason, Message: info.PauseMessage}
	}
	return &RunYieldedError{RunID: info.ID, SignalIDs: info.SignalIDs(), SignalNames: info.SignalNames()}
}

// Signal delivers content to the call that yielded and waits for signalID. A [*Failure]
// as content is raised there. A signal that comes before the run waits for it is kept.
//
// Safe to repeat: a signal id takes one content, once. Errors: [ErrRunNotFound],
// [ErrSignalNotExpected], [ErrSignalConflict], [ErrRunFinished].
func (r *Run) Signal(ctx context.Context, signalID string, content any, options ...SignalOption) (*SignalOutcome, error) {
	request := &pb.SignalRequest{Target: &pb.SignalRequest_SignalId{SignalId: signalID}}
	return r.signal(ctx, request, content, options)
}

// SignalName delivers content to the script that waits for a signal by name, or to the
// next that will; see [Run.Signal]. Errors: [ErrSignalsFull], too.
//
// Each call is one signal, however often the network repeats it; give a [RequestID] to
// repeat it yourself.
func (r *Run) SignalName(ctx context.Context, name string, content any, options ...SignalOption) (*SignalOutcome, error) {
	request := &pb.SignalRequest{Target: &pb.SignalRequest_Name{Name: name}, RequestId: newID()}
	return r.signal(ctx, request, content, options)
}

func (r *Run) signal(ctx context.Context, request *pb.SignalRequest, content any, options []SignalOption) (*SignalOutcome, error) {
	var chosen signalOptions
	for _, option := range options {
		option(&chosen)
	}
	if chosen.requestID != "" {
		request.RequestId = chosen.requestID
	}
	c := r.client
	request.Namespace, request.RunId = c.options.namespace, r.ID
	request.OnlyIfWaiting = chosen.onlyIfWaiting
	if failure, ok := content.(*Failure); ok {
		request.Result = &pb.SignalRequest_Failure{Failure: failure.message()}
	} else {
		text, err := encode(content)
		if err != nil {
			return nil, err
		}
		request.Result = &pb.SignalRequest_Output{Output: payload(text)}
	}
	response, err := call(ctx, c, c.workflows.Signal, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return signalOutcomeFrom(response), nil
}

// Cancel asks the run to end, because of reason, and returns it as it stands then.
//
// What it waits for is given up, and its deferred functions run; [Run.Wait] tells when it
// has ended. Errors: [ErrRunNotFound], [ErrRunFinished].
func (r *Run) Cancel(ctx context.Context, reason string) (*RunInfo, error) {
	c := r.client
	request := &pb.CancelRunRequest{Namespace: c.options.namespace, RunId: r.ID, Reason: reason}
	response, err := call(ctx, c, c.workflows.CancelRun, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return runInfoFrom(response.Run), nil
}

// Terminate ends the run at once, without any more of its script, and returns it. It is
// for runs that [Run.Cancel] cannot end: those that are paused, or whose deferred
// functions hang. Errors: [ErrRunNotFound], [ErrRunFinished].
func (r *Run) Terminate(ctx context.Context, reason string) (*RunInfo, error) {
	c := r.client
	request := &pb.TerminateRunRequest{Namespace: c.options.namespace, RunId: r.ID, Reason: reason}
	response, err := call(ctx, c, c.workflows.TerminateRun, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return runInfoFrom(response.Run), nil
}

// Unpause lets a run that the service paused try again, and returns it as it stands then.
func (r *Run) Unpause(ctx context.Context) (*RunInfo, error) {
	c := r.client
	request := &pb.UnpauseRunRequest{Namespace: c.options.namespace, RunId: r.ID}
	response, err := call(ctx, c, c.workflows.UnpauseRun, request, 0, c.options.patience)
	if err != nil {
		return nil, err
	}
	return runInfoFrom(response.Run), nil
}

// Delete removes a finished run for good, and reports whether there was one. Its id stays
// refused for a while, so that a late repetition does not start it anew:
// [ErrRunDeleted]. A run that has not finished is [ErrRunNotFinished].
func (r *Run) Delete(ctx context.Context) (bool, error) {
	c := r.client
	request := &pb.DeleteRunRequest{Namespace: c.options.namespace, RunId: r.ID, AllowMissing: true}
	response, err := call(ctx, c, c.workflows.DeleteRun, request, 0, c.options.patience)
	if err != nil {
		return false, err
	}
	return response.Deleted, nil
}
