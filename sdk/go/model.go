package starflow

import (
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/starflow/starflow-go/starflowv1"
)

// RunState is where a run stands. A newer service may know more.
type RunState string

// The states of a run; the last three are final.
const (
	StatePending   RunState = "PENDING"
	StateRunning   RunState = "RUNNING"
	StateSleeping  RunState = "SLEEPING"
	StateYielded   RunState = "YIELDED"
	StateSucceeded RunState = "SUCCEEDED"
	StateFailed    RunState = "FAILED"
	StateCancelled RunState = "CANCELLED"
)

// RunInfo is a run as it stood when the service answered.
type RunInfo struct {
	ID        string
	Namespace string
	State     RunState
	// Version is the number of events in the log.
	Version int
	// Paused says whether the service holds the run back; PauseReason is a name out of
	// starflow.v1.PauseReason.
	Paused       bool
	PauseReason  string
	PauseMessage string
	ScriptHash   string
	CreateTime   time.Time
	UpdateTime   time.Time
	// FinishTime is zero before the run has finished.
	FinishTime time.Time
	// Waits are what the run waits for, the longest wait first.
	Waits []Wait
	// Labels are what the run is found by: see [Client.List].
	Labels map[string]string
	Input  json.RawMessage
	Output json.RawMessage
	// Failure is why the run failed or was cancelled; nil if it did not.
	Failure *Failure
	// Script, or Bundle if there are several files, is set by [Run.GetWithScript].
	Script string
	Bundle *Bundle
	// CancelRequested says whether somebody asked the run to end, and CancelReason why.
	CancelRequested bool
	CancelReason    string
	// Status is what the script last said about itself: an object with text, and with
	// progress and data if given; nil if it said nothing.
	Status json.RawMessage
	// UnreadSignals are the oldest signals by name that the script has not taken.
	UnreadSignals     []UnreadSignal
	UnreadSignalCount int
	// Restarts is how often the script began again, and SegmentVersion the version of its
	// last START.
	Restarts       int
	SegmentVersion int
}

// Finished reports whether the run has come to its end.
func (i *RunInfo) Finished() bool {
	return slices.Contains([]RunState{StateSucceeded, StateFailed, StateCancelled}, i.State)
}

// SignalIDs returns the ids of signals that the run waits for, the longest wait first.
func (i *RunInfo) SignalIDs() []string {
	return named(i.Waits, func(wait Wait) string { return wait.SignalID })
}

// SignalNames returns the names of signals that the run waits for, the longest wait first.
func (i *RunInfo) SignalNames() []string {
	return named(i.Waits, func(wait Wait) string { return wait.SignalName })
}

func named(waits []Wait, name func(Wait) string) (names []string) {
	for _, wait := range waits {
		if found := name(wait); found != "" {
			names = append(names, found)
		}
	}
	return names
}

// WaitKind is what kind of thing a run waits for.
type WaitKind string

// The kinds of waits. A newer service may know more.
const (
	WaitsForCall   WaitKind = "CALL"
	WaitsForSleep  WaitKind = "SLEEP"
	WaitsForSignal WaitKind = "SIGNAL"
)

// Wait is one thing that a run waits for. Fields that do not belong to its kind are zero.
type Wait struct {
	Kind WaitKind
	// Function was called, or has yielded.
	Function string
	// State is what a call waits for, a name out of starflow.v1.CallState such as
	// NO_WORKER, StateMessage the same for people, and Queue the queue it is in.
	State        string
	StateMessage string
	Queue        string
	// CallVersion is the version of the CALL event, and Attempt that of now or next.
	CallVersion int
	Attempt     int
	// WorkerID is the worker that executes the call; empty while it waits for one.
	WorkerID    string
	LastFailure *Failure
	// NextAttemptTime is when the next attempt may start, if the call waits for that, and
	// AttemptStartTime when the one under way was handed to its worker.
	NextAttemptTime  time.Time
	AttemptStartTime time.Time
	// WakeTime is when a sleep ends.
	WakeTime time.Time
	// SignalID is for [Run.Signal], SignalName for [Run.SignalName].
	SignalID   string
	SignalName string
	// ExpireTime is when the wait ends with a TIMEOUT failure; zero for never.
	ExpireTime time.Time
}

// UnreadSignal is a signal by name that waits for the script to take it.
type UnreadSignal struct {
	Name string
	// Version is that of its SIGNAL event.
	Version int
	Time    time.Time
}

// EventType is the kind of an event. A newer service may know more.
type EventType string

// The types of events.
const (
	EventStart   EventType = "START"
	EventCall    EventType = "CALL"
	EventReturn  EventType = "RETURN"
	EventYield   EventType = "YIELD"
	EventResume  EventType = "RESUME"
	EventSleep   EventType = "SLEEP"
	EventTimeNow EventType = "TIME_NOW"
	EventRandInt EventType = "RAND_INT"
	EventFinish  EventType = "FINISH"
	EventSignal  EventType = "SIGNAL"
	EventWake    EventType = "WAKE"
	EventWait    EventType = "WAIT"
	EventCancel  EventType = "CANCEL"
	EventDrop    EventType = "DROP"
	EventStatus  EventType = "STATUS"
	EventRestart EventType = "RESTART"
)

// Event is one entry of a run's log. Fields that do not belong to its type are zero; all
// that there is to know is in Message.
type Event struct {
	// Version is the place in the log, from 1.
	Version int
	Time    time.Time
	Type    EventType
	// Function is what a CALL names.
	Function string
	// CallVersion is the version of the CALL that the event belongs to.
	CallVersion int
	// SignalID and SignalName say which signal the event is about.
	SignalID   string
	SignalName string
	// Input is that of a START, CALL or RESTART.
	Input json.RawMessage
	// Output, or Failure, is that of a RETURN, RESUME, SIGNAL or FINISH.
	Output  json.RawMessage
	Failure *Failure
	// Message is the event as the service sent it.
	Message *pb.Event
}

// SignalDisposition is what became of a signal.
type SignalDisposition string

// What can become of a signal.
const (
	// SignalResumed: the run was waiting for it.
	SignalResumed SignalDisposition = "RESUMED"
	// SignalKept: the run does not wait for it yet, and will use it.
	SignalKept SignalDisposition = "KEPT"
	// SignalDuplicate: the same signal was taken before; nothing changed.
	SignalDuplicate SignalDisposition = "DUPLICATE"
)

// SignalOutcome is what became of a signal.
type SignalOutcome struct {
	Disposition SignalDisposition
	// ResumeVersion is the version of the RESUME event, 0 if there is none yet; of a
	// signal by name that of its SIGNAL event.
	ResumeVersion int
}

// Bundle is a script of several files.
type Bundle struct {
	// Sources by path, such as lib/tax.star.
	Sources map[string]string
	// Entry is the path of the file with main(ctx, input); empty means main.star.
	Entry string
}

func (b Bundle) message() *pb.ScriptBundle {
	return &pb.ScriptBundle{Sources: b.Sources, Entry: b.Entry}
}

// Diagnostic is one finding about a script.
type Diagnostic struct {
	// Severity is ERROR or WARNING.
	Severity string
	// Code is stable, such as SYNTAX_ERROR.
	Code    string
	Message string
	// Line and Column are from 1; 0 if unknown.
	Line, Column int
	// Hint says how to mend it, if the service knows a way.
	Hint string
	// File is the path in the bundle; empty if the script is a single file.
	File string
}

// Validation is what the service says about a script without running it.
type Validation struct {
	Valid       bool
	Diagnostics []Diagnostic
	ScriptHash  string
	// Functions are those that the script names, as far as a look can tell.
	Functions []string
}

// Limits are the sizes and times that the server enforces.
type Limits struct {
	MaxPayloadBytes   int
	MaxScriptBytes    int
	MaxEventsPerRun   int
	MaxWait           time.Duration
	MaxPollTasks      int
	MaxPayloadDepth   int
	MaxIntegerDigits  int
	MaxSteps          int64
	MaxAllocatedBytes int64
	MaxOpenCalls      int
	MaxSleep          time.Duration
	// ByName are the limits of scripts and runs by name, such as max_steps, which is also
	// the server's option.
	ByName map[string]int64
}

// ServerInfo is what a server is and can.
type ServerInfo struct {
	Version string
	// Capabilities are optional features by name, such as worker-stream.
	Capabilities []string
	Limits       Limits
	// Durability is MEMORY, PROCESS or DISK: what an acknowledged event survives.
	Durability      string
	LanguageVersion int
	// Store is the kind of store, such as sqlite.
	Store string
}

func runInfoFrom(run *pb.Run) *RunInfo {
	info := &RunInfo{
		ID:                run.RunId,
		Namespace:         run.Namespace,
		State:             RunState(enumName(run.State, "RUN_STATE_")),
		Version:           int(run.Version),
		Paused:            run.Paused,
		PauseMessage:      run.PauseMessage,
		ScriptHash:        run.ScriptHash,
		CreateTime:        timeOf(run.CreateTime),
		UpdateTime:        timeOf(run.UpdateTime),
		FinishTime:        timeOf(run.FinishTime),
		Labels:            run.Labels,
		Input:             rawValue(run.Input),
		Output:            rawValue(run.GetOutput()),
		Failure:           failureFrom(run.GetFailure()),
		Script:            run.Script,
		CancelRequested:   run.CancelRequested,
		CancelReason:      run.CancelReason,
		Status:            rawValue(run.Status),
		UnreadSignalCount: int(run.UnreadSignalCount),
		Restarts:          int(run.Restarts),
		SegmentVersion:    int(run.SegmentVersion),
	}
	if run.Paused {
		info.PauseReason = enumName(run.PauseReason, "PAUSE_REASON_")
	}
	if run.Bundle != nil {
		info.Bundle = &Bundle{run.Bundle.Sources, run.Bundle.Entry}
	}
	for _, wait := range run.Waits {
		info.Waits = append(info.Waits, waitFrom(wait))
	}
	for _, signal := range run.UnreadSignals {
		info.UnreadSignals = append(info.UnreadSignals, UnreadSignal{signal.Name, int(signal.Version), timeOf(signal.Time)})
	}
	return info
}

func waitFrom(wait *pb.Wait) Wait {
	switch kind := wait.Kind.(type) {
	case *pb.Wait_Call:
		return Wait{
			Kind:             WaitsForCall,
			Function:         kind.Call.Function,
			State:            enumName(kind.Call.State, "CALL_STATE_"),
			StateMessage:     kind.Call.StateMessage,
			Queue:            kind.Call.Queue,
			CallVersion:      int(kind.Call.CallVersion),
			Attempt:          int(kind.Call.Attempt),
			WorkerID:         kind.Call.WorkerId,
			LastFailure:      failureFrom(kind.Call.LastFailure),
			NextAttemptTime:  timeOf(kind.Call.NextAttemptTime),
			AttemptStartTime: timeOf(kind.Call.AttemptStartTime),
			ExpireTime:       timeOf(kind.Call.ExpireTime),
		}
	case *pb.Wait_Sleep:
		return Wait{Kind: WaitsForSleep, WakeTime: timeOf(kind.Sleep.WakeTime)}
	case *pb.Wait_Signal:
		return Wait{
			Kind:       WaitsForSignal,
			Function:   kind.Signal.Function,
			SignalID:   kind.Signal.SignalId,
			SignalName: kind.Signal.Name,
			ExpireTime: timeOf(kind.Signal.ExpireTime),
		}
	}
	return Wait{Kind: "UNKNOWN"}
}

// What messages of events have in common, if they have it.
type (
	hasFunction    interface{ GetFunction() string }
	hasCallVersion interface{ GetCallVersion() int32 }
	hasSignalID    interface{ GetSignalId() string }
	hasName        interface{ GetName() string }
	hasInput       interface{ GetInput() *pb.Payload }
	hasOutput      interface{ GetOutput() *pb.Payload }
	hasFailure     interface{ GetFailure() *pb.Failure }
)

func eventFrom(message *pb.Event) *Event {
	event := &Event{
		Version: int(message.Version),
		Time:    timeOf(message.Time),
		Type:    EventType(enumName(message.Type, "EVENT_TYPE_")),
		Message: message,
	}
	detail := detailOf(message)
	if has, ok := detail.(hasFunction); ok {
		event.Function = has.GetFunction()
	}
	if has, ok := detail.(hasCallVersion); ok {
		event.CallVersion = int(has.GetCallVersion())
	}
	if has, ok := detail.(hasSignalID); ok {
		event.SignalID = has.GetSignalId()
	}
	if has, ok := detail.(hasName); ok {
		event.SignalName = has.GetName()
	}
	if has, ok := detail.(hasInput); ok {
		event.Input = rawValue(has.GetInput())
	}
	if has, ok := detail.(hasOutput); ok {
		event.Output = rawValue(has.GetOutput())
	}
	if has, ok := detail.(hasFailure); ok {
		event.Failure = failureFrom(has.GetFailure())
	}
	return event
}

// detailOf returns the message of the event's type; nil if this release does not know it.
func detailOf(event *pb.Event) any {
	reflected := event.ProtoReflect()
	chosen := reflected.WhichOneof(reflected.Descriptor().Oneofs().ByName("detail"))
	if chosen == nil {
		return nil
	}
	return reflected.Get(chosen).Message().Interface()
}

func signalOutcomeFrom(response *pb.SignalResponse) *SignalOutcome {
	disposition := enumName(response.Disposition, "SIGNAL_DISPOSITION_")
	return &SignalOutcome{SignalDisposition(disposition), int(response.ResumeVersion)}
}

func validationFrom(response *pb.ValidateScriptResponse) *Validation {
	validation := &Validation{
		Valid:      response.Valid,
		ScriptHash: response.ScriptHash,
		Functions:  response.Functions,
	}
	for _, found := range response.Diagnostics {
		validation.Diagnostics = append(validation.Diagnostics, Diagnostic{
			Severity: enumName(found.Severity, "SEVERITY_"),
			Code:     found.Code,
			Message:  found.Message,
			Line:     int(found.Line),
			Column:   int(found.Column),
			Hint:     found.Hint,
			File:     found.File,
		})
	}
	return validation
}

func serverInfoFrom(response *pb.GetServerInfoResponse) *ServerInfo {
	return &ServerInfo{
		Version:         response.Version,
		Capabilities:    response.Capabilities,
		Limits:          limitsFrom(response.Limits),
		Durability:      enumName(response.Durability, "DURABILITY_"),
		LanguageVersion: int(response.LanguageVersion),
		Store:           response.Store,
	}
}

func limitsFrom(limits *pb.Limits) Limits {
	return Limits{
		MaxPayloadBytes:   int(limits.GetMaxPayloadBytes()),
		MaxScriptBytes:    int(limits.GetMaxScriptBytes()),
		MaxEventsPerRun:   int(limits.GetMaxEventsPerRun()),
		MaxWait:           limits.GetMaxWait().AsDuration(),
		MaxPollTasks:      int(limits.GetMaxPollTasks()),
		MaxPayloadDepth:   int(limits.GetMaxPayloadDepth()),
		MaxIntegerDigits:  int(limits.GetMaxIntegerDigits()),
		MaxSteps:          limits.GetMaxSteps(),
		MaxAllocatedBytes: limits.GetMaxAllocatedBytes(),
		MaxOpenCalls:      int(limits.GetMaxOpenCalls()),
		MaxSleep:          limits.GetMaxSleep().AsDuration(),
		ByName:            limits.GetByName(),
	}
}

func timeOf(stamp *timestamppb.Timestamp) time.Time {
	if stamp == nil {
		return time.Time{}
	}
	return stamp.AsTime()
}
