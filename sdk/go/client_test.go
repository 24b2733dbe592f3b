package starflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/starflow/starflow-go"
)

const echoes = "def main(ctx, input):\n    return input\n"

func TestARunHasAResult(t *testing.T) {
	t.Parallel()
	client := namespaced(t)

	run := start(t, client, echoes, map[string]any{"n": 1})

	equal(t, result[struct{ N int }](t, run).N, 1)
	equal(t, run.Created, true)
}

func TestTheSameIDFindsTheSameRun(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	first := start(t, client, echoes, 1, starflow.RunID("x"))

	second := start(t, client, echoes, 1, starflow.RunID("x"))
	_, err := client.Start(patient(t), echoes, 2, starflow.RunID("x"))
	third := start(t, client, echoes, 2, starflow.RunID("x"), starflow.OnConflict(starflow.AttachAny))

	equal(t, first.Created, true)
	equal(t, second.Created, false)
	equal(t, third.Created, false)
	equal(t, errors.Is(err, starflow.ErrRunIDConflict), true)
	equal(t, errors.Is(err, starflow.ErrConflict), true)
	equal(t, errors.Is(err, starflow.ErrNotFound), false)
}

func TestARefusedRequestSaysWhy(t *testing.T) {
	t.Parallel()
	client := namespaced(t)

	_, err := client.Run("none").Get(patient(t))

	var failed *starflow.RequestError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	equal(t, failed.Reason, "RUN_NOT_FOUND")
	equal(t, failed.Status.String(), "NotFound")
	equal(t, errors.Is(err, starflow.ErrRunNotFound), true)
	equal(t, errors.Is(err, starflow.ErrNotFound), true)
	equal(t, errors.Is(err, starflow.ErrScriptNotFound), false)
}

func TestWhatTheServiceCannotUseIsRefused(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	for _, test := range []struct {
		name   string
		script string
		input  any
		class  error
	}{
		{"script", "def main(ctx, input)\n", nil, starflow.ErrScriptInvalid},
		{"function", calls("no.such"), nil, starflow.ErrFunctionUnknown},
		{"duplicate keys", echoes, json.RawMessage(`{"a": 1, "a": 2}`), starflow.ErrPayloadInvalid},
		{"2 MiB", echoes, string(slices.Repeat([]byte{'x'}, 2<<20)), starflow.ErrTooLarge},
		{"5 MiB", echoes, string(slices.Repeat([]byte{'x'}, 5<<20)), starflow.ErrTooLarge},
		{"no UTF-8", "\xff", nil, starflow.ErrInvalidRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.Start(patient(t), test.script, test.input)

			if !errors.Is(err, test.class) || !errors.Is(err, starflow.ErrInvalidRequest) {
				t.Errorf("got %v, want %v", err, test.class)
			}
		})
	}
}

func TestAValueWithoutAJSONFormIsRefusedHere(t *testing.T) {
	t.Parallel()
	client := namespaced(t)

	for _, input := range []any{make(chan int), json.RawMessage("{"), json.RawMessage("\"\xff\"")} {
		_, err := client.Start(patient(t), echoes, input)

		var conversion *starflow.ConversionError
		equal(t, errors.As(err, &conversion), true)
	}
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	for _, text := range []string{
		"null", "1", "1.0", "-0.0", "1e+100", "123456789012345678901234567890",
		`"grüße 🌍 <&> \u2028"`, `{"a":[1,2.5,{"b":null}]}`,
	} {
		run := start(t, client, echoes, json.RawMessage(text))

		var want, got any
		if err := starflow.Decode(json.RawMessage(text), &want); err != nil {
			t.Fatal(err)
		}
		got = result[any](t, run)
		wanted, _ := json.Marshal(want)
		gotten, _ := json.Marshal(got)
		if string(gotten) != string(wanted) {
			t.Errorf("%s came back as %s", wanted, gotten)
		}
	}
}

func TestIntegersOfAnySizeAreExact(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	n, _ := new(big.Int).SetString("98765432109876543210987654321", 10)

	run := start(t, client, "def main(ctx, input):\n    return input + 1\n", n)

	got := result[*big.Int](t, run)
	equal(t, got.Cmp(n.Add(n, big.NewInt(1))), 0)
}

func TestAFloatStaysAFloat(t *testing.T) {
	t.Parallel()
	client := namespaced(t)

	run := start(t, client, "def main(ctx, input):\n    return [type(v) for v in input]\n", []any{1.0, 1, 2.5})

	got := result[[]string](t, run)
	equal(t, slices.Equal(got, []string{"float", "int", "float"}), true)
}

func TestAFailedRunSaysWhy(t *testing.T) {
	t.Parallel()
	client := namespaced(t)

	run := start(t, client, "def main(ctx, input):\n    fail('no more')\n", nil)
	err := run.Result(patient(t), nil)

	var failed *starflow.RunFailedError
	var why *starflow.Failure
	equal(t, errors.As(err, &failed) && errors.As(err, &why), true)
	equal(t, errors.Is(err, starflow.ErrRunFailed), true)
	equal(t, errors.Is(err, starflow.ErrRunCancelled), false)
	equal(t, why.Kind, "SCRIPT")
}

func TestARunThatIsCancelledHasFailed(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	run := start(t, client, waitsByName, nil)

	_, err := run.Cancel(patient(t), "not needed")
	if err != nil {
		t.Fatal(err)
	}
	err = run.Result(patient(t), nil, starflow.ThroughYields())

	equal(t, errors.Is(err, starflow.ErrRunCancelled), true)
	equal(t, errors.Is(err, starflow.ErrRunFailed), true)
	info, err := run.Get(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, info.State, starflow.StateCancelled)
	equal(t, info.CancelReason, "not needed")
}

func TestARunCanBeTerminated(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	run := start(t, client, waitsByName, nil)

	info, err := run.Terminate(patient(t), "at once")

	if err != nil {
		t.Fatal(err)
	}
	equal(t, info.Finished(), true)
	if _, err = run.SignalName(patient(t), "word", 1); !errors.Is(err, starflow.ErrRunFinished) {
		t.Errorf("got %v", err)
	}
}

const waitsByName = "load('flow', 'wait_signal')\ndef main(ctx, input):\n    return wait_signal(ctx, 'word')\n"

func TestASignalByNameReachesTheScript(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	run := start(t, client, waitsByName, nil)

	err := run.Result(patient(t), nil)
	var yielded *starflow.RunYieldedError
	if !errors.As(err, &yielded) {
		t.Fatalf("got %v", err)
	}
	equal(t, errors.Is(err, starflow.ErrRunYielded), true)
	equal(t, slices.Equal(yielded.SignalNames, []string{"word"}), true)
	outcome, err := run.SignalName(patient(t), "word", "go", starflow.RequestID("1"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, outcome.Disposition, starflow.SignalResumed)
	equal(t, result[string](t, run), "go")
	again, err := run.SignalName(patient(t), "word", "go", starflow.RequestID("1"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, again.Disposition, starflow.SignalDuplicate)
}

func TestASignalCanBeAFailure(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	run := start(t, client, waitsByName, nil)

	if _, err := run.SignalName(patient(t), "word", &starflow.Failure{Code: "REFUSED", Message: "no"}); err != nil {
		t.Fatal(err)
	}

	equal(t, failure(t, run).Code, "REFUSED")
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	run := start(t, client, waitsByName, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()

	err := run.Result(ctx, nil, starflow.ThroughYields())

	equal(t, errors.Is(err, context.DeadlineExceeded), true)
}

func TestEventsAreReadOneAfterAnother(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	run := start(t, client, waitsByName, "in")
	if _, err := run.SignalName(patient(t), "word", "go"); err != nil {
		t.Fatal(err)
	}
	var types []starflow.EventType
	for event, err := range run.Events(patient(t), starflow.Follow()) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, event.Type)
		equal(t, event.Version, len(types))
	}
	equal(t, types[0], starflow.EventStart)
	equal(t, types[len(types)-1], starflow.EventFinish)

	all := events(t, run)
	equal(t, len(all), len(types))
	equal(t, string(all[0].Input), `"in"`)
	equal(t, string(all[len(all)-1].Output), `"go"`)
	var some []int
	for event, err := range run.Events(patient(t), starflow.FromVersion(2), starflow.Limit(2)) {
		if err != nil {
			t.Fatal(err)
		}
		some = append(some, event.Version)
	}
	equal(t, slices.Equal(some, []int{2, 3}), true)
	for event := range run.Events(patient(t), starflow.OnlyTypes(starflow.EventSignal)) {
		equal(t, event.SignalName, "word")
	}
}

func TestEventsEndWithTheErrorThatEndsThem(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	var last error
	for _, err := range client.Run("none").Events(patient(t)) {
		last = err
	}
	equal(t, errors.Is(last, starflow.ErrRunNotFound), true)
}

func TestEventsAreFollowedOverARestart(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	client := newClient(t, server, starflow.Patience(patience))
	run := start(t, client, waitsByName, nil)
	versions := make(chan int, 100)
	go func() {
		defer close(versions)
		for event, err := range run.Events(patient(t), starflow.Follow()) {
			if err != nil {
				t.Error(err)
				return
			}
			versions <- event.Version
		}
	}()
	equal(t, arrives(t, versions, "START"), 1)

	server.kill()
	server.mustStart(t)
	if _, err := run.SignalName(patient(t), "word", "go"); err != nil {
		t.Fatal(err)
	}

	equal(t, result[string](t, run), "go")
	next := 2
	for version := range versions {
		equal(t, version, next)
		next++
	}
	info, err := run.Get(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, next-1, info.Version)
}

func TestAResultOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	client := newClient(t, server, starflow.Patience(patience))
	run := start(t, client, waitsByName, nil)
	var got string
	ended := make(chan error, 1)
	go func() { ended <- run.Result(patient(t), &got, starflow.ThroughYields()) }()

	server.kill()
	server.mustStart(t)
	if _, err := run.SignalName(patient(t), "word", "go"); err != nil {
		t.Fatal(err)
	}

	equal(t, arrives(t, ended, "the result"), nil)
	equal(t, got, "go")
}

func TestAScriptIsValidated(t *testing.T) {
	t.Parallel()
	client := namespaced(t)

	good, err := client.Validate(patient(t), echoes)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := client.Validate(patient(t), "def main(ctx, input):\n    return x\n")
	if err != nil {
		t.Fatal(err)
	}

	equal(t, good.Valid, true)
	equal(t, bad.Valid, false)
	equal(t, bad.Diagnostics[0].Line, 2)
}

func TestAScriptMayHaveSeveralFiles(t *testing.T) {
	t.Parallel()
	client := namespaced(t)
	bundle := starflow.Bundle{Sources: map[string]string{
		"main.star": "load('lib.star', 'twice')\ndef main(ctx, input):\n    return twice(input)\n",
		"lib.star":  "def twice(x):\n    return 2 * x\n",
	}}

	run, err := client.StartBundle(patient(t), bundle, 21)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, result[int](t, run), 42)
	info, err := run.GetWithScript(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, info.Bundle.Sources["lib.star"], bundle.Sources["lib.star"])
	again, err := client.StartStored(patient(t), info.ScriptHash, 2)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, result[int](t, again), 4)
}

func TestNobodyThereIsUnavailable(t *testing.T) {
	t.Parallel()
	_, err := starflow.Dial(patient(t), "127.0.0.1:1", starflow.Patience(time.Millisecond))

	equal(t, errors.Is(err, starflow.ErrUnavailable), true)
}
