package starflow_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/starflow/starflow-go"
)

func TestRunsAreFoundByTheirLabels(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	for n, team := range []string{"shop", "desk", "shop"} {
		run := start(t, client, echoes, n, starflow.Labels(map[string]string{"team": team}))
		result[int](t, run)
	}

	var all, some []*starflow.RunInfo
	for run, err := range client.List(patient(t), starflow.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, run)
	}
	filter := starflow.Filter{
		States:        []starflow.RunState{starflow.StateSucceeded},
		Labels:        map[string]string{"team": "shop"},
		CreatedBefore: time.Now().Add(time.Hour),
	}
	for run, err := range client.List(patient(t), filter) {
		if err != nil {
			t.Fatal(err)
		}
		some = append(some, run)
		equal(t, run.Labels["team"], "shop")
	}
	equal(t, len(all), 3)
	equal(t, len(some), 2)
}

func TestMoreRunsThanOnePageHoldsAreListed(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	ids := map[string]bool{}
	for n := range 60 {
		ids[start(t, client, echoes, n).ID] = true
	}
	for run, err := range client.List(patient(t), starflow.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		delete(ids, run.ID)
	}
	equal(t, len(ids), 0)
	for range client.List(patient(t), starflow.Filter{}) {
		break // whoever has enough may stop
	}
}

func TestAListEndsWithTheErrorThatEndsIt(t *testing.T) {
	t.Parallel()
	client := newClient(t, shared, starflow.Namespace("Not A Namespace"))
	var last error
	for _, err := range client.List(patient(t), starflow.Filter{}) {
		last = err
	}
	equal(t, errors.Is(last, starflow.ErrInvalidRequest), true)
}

func TestAFinishedRunCanBeDeleted(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	open := start(t, client, waitsByName, nil)
	run := start(t, client, echoes, 1, starflow.RunID("gone"))
	result[int](t, run)

	_, err := open.Delete(patient(t))
	equal(t, errors.Is(err, starflow.ErrRunNotFinished), true)
	for _, was := range []bool{true, false} {
		deleted, err := run.Delete(patient(t))
		equal(t, err, nil)
		equal(t, deleted, was)
	}
	_, err = run.Get(patient(t))
	equal(t, errors.Is(err, starflow.ErrRunNotFound), true)
	_, err = client.Start(patient(t), echoes, 1, starflow.RunID("gone"))
	equal(t, errors.Is(err, starflow.ErrRunDeleted), true)
}

func TestTasksCarryTheHeadersOfTheirRun(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, options...)
		starflow.Register(worker, "test.headers", func(ctx context.Context, _ struct{}) (map[string]string, error) {
			return starflow.TaskFrom(ctx).Headers, nil
		})
		begin(t, worker)

		run := start(t, client, calls("test.headers"), nil, starflow.Headers(map[string]string{"traceparent": "00-ab"}))

		equal(t, result[map[string]string](t, run)["traceparent"], "00-ab")
	})
}

func TestItIsSeenWhoServesWhat(t *testing.T) {
	overBoth(t, func(t *testing.T, options ...starflow.WorkerOption) {
		client := namespaced(t)
		worker := starflow.NewWorker(client, append(options, starflow.BuildID("b1"))...)
		starflow.Register(worker, "test.one", echo, starflow.Description("the first"))
		starflow.Register(worker, "test.two", echo)
		begin(t, worker)

		var names []string
		for function, err := range client.Functions(patient(t)) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, function.Name)
			equal(t, slices.Equal(function.WorkerIDs, []string{worker.ID()}), true)
			equal(t, function.Registered, true)
		}
		equal(t, slices.Equal(names, []string{"test.one", "test.two"}), true)
		for found, err := range client.Workers(patient(t)) {
			if err != nil {
				t.Fatal(err)
			}
			equal(t, found.ID, worker.ID())
			equal(t, found.BuildID, "b1")
			equal(t, slices.Equal(found.Functions, names), true)
			equal(t, found.Live, true)
		}
	})
}

func TestAQueueHasItsLimits(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	limits := starflow.QueueLimits{MaxInFlight: 3, Rate: &starflow.QueueRate{Tokens: 5, Period: time.Minute, Burst: 7}}

	set, err := client.SetQueue(patient(t), "payments", limits)
	if err != nil {
		t.Fatal(err)
	}

	equal(t, set.Limits.MaxInFlight, 3)
	equal(t, *set.Limits.Rate, *limits.Rate)
	var names []string
	for queue, err := range client.Queues(patient(t)) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, queue.Name)
	}
	equal(t, slices.Equal(names, []string{"payments"}), true)
	deleted, err := client.DeleteQueue(patient(t), "payments")
	equal(t, err, nil)
	equal(t, deleted, true)
}
