package starflow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/starflow/starflow-go"
)

// What README.md shows is in this file, word for word: so it compiles, and is executed.

const script = `
def main(ctx, input):
    if not shop.approve(ctx=ctx, req=input):
        fail("refused")
    return shop.charge(ctx=ctx, req=input)
`

// ask asks somebody for approval, who in this file knows the signal without it.
func ask(_, _ string) {}

type Order struct {
	ID    string `json:"id"`
	Cents int    `json:"cents"`
}

type Receipt struct {
	Number string `json:"number"`
}

// Charge tries a bank, which may not answer.
func Charge(ctx context.Context, order Order) (Receipt, error) {
	task := starflow.TaskFrom(ctx)
	task.Log().Info("charging", "cents", order.Cents)
	if order.Cents > 1_000_000 {
		return Receipt{}, starflow.Permanent(errors.New("too much"), "CARD_DECLINED")
	}
	// A worker that dies now is followed by another attempt: with the same task.ID, which
	// is the key by which the bank knows that it has charged already.
	return Receipt{Number: order.ID + "-1"}, nil
}

// Approve ends at once. Whoever is asked answers with a signal, in a minute or a month.
func Approve(ctx context.Context, order Order) (bool, error) {
	ask(starflow.TaskFrom(ctx).RunID, starflow.TaskFrom(ctx).SignalID)
	return false, starflow.WaitForSignal(30 * 24 * time.Hour)
}

func work(ctx context.Context, client *starflow.Client) error {
	worker := starflow.NewWorker(client, starflow.Concurrency(16))
	starflow.Register(worker, "shop.charge", Charge,
		starflow.Retry{MaxAttempts: 5, Initial: time.Second},
		starflow.AttemptTimeout(time.Minute),
		starflow.CallTimeout(time.Hour))
	starflow.Register(worker, "shop.approve", Approve)
	return worker.Run(ctx)
}

func order(ctx context.Context) error {
	client, err := starflow.Dial(ctx, os.Getenv("STARFLOW_ADDRESS"))
	if err != nil {
		return err
	}
	defer client.Close()

	run, err := client.Start(ctx, script, Order{ID: "A-1", Cents: 4200}, starflow.RunID("A-1"))
	if err != nil {
		return err
	}
	var receipt Receipt
	err = run.Result(ctx, &receipt)
	var yielded *starflow.RunYieldedError
	if errors.As(err, &yielded) {
		if _, err := run.Signal(ctx, yielded.SignalIDs[0], true); err != nil {
			return err
		}
		err = run.Result(ctx, &receipt)
	}
	fmt.Println(receipt.Number, err)
	return nil
}

func follow(ctx context.Context, run *starflow.Run) error {
	for event, err := range run.Events(ctx, starflow.Follow()) {
		if err != nil {
			return err
		}
		fmt.Println(event.Version, event.Type)
	}
	return nil
}

func why(err error) string {
	var failed *starflow.RunFailedError
	switch {
	case errors.As(err, &failed):
		return failed.Failure.Code // such as CARD_DECLINED
	case errors.Is(err, starflow.ErrNotFound):
		return "there is no such run"
	case errors.Is(err, starflow.ErrUnavailable):
		return "later"
	}
	return fmt.Sprint(err)
}

// Example does what README.md shows.
func Example() {
	_ = os.Setenv("STARFLOW_ADDRESS", shared.address())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := starflow.Dial(ctx, shared.address())
	if err != nil {
		panic(err)
	}
	defer client.Close()
	working, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- work(working, client) }()
	for !serves(ctx, client, "shop.charge") {
		time.Sleep(5 * time.Millisecond)
	}

	fmt.Println(order(ctx))
	fmt.Println(follow(ctx, client.Run("A-1")))
	refused, _ := client.Start(ctx, script, Order{ID: "A-2", Cents: 2_000_000})
	err = refused.Result(ctx, nil)
	if yielded := new(*starflow.RunYieldedError); errors.As(err, yielded) {
		_, _ = refused.Signal(ctx, (*yielded).SignalIDs[0], true)
	}
	fmt.Println(why(refused.Result(ctx, nil)))
	_, err = client.Run("A-3").Get(ctx)
	fmt.Println(why(err))
	stop()
	fmt.Println(<-ended)
	// Output:
	// A-1-1 <nil>
	// <nil>
	// 1 START
	// 2 CALL
	// 3 YIELD
	// 4 RESUME
	// 5 CALL
	// 6 RETURN
	// 7 FINISH
	// <nil>
	// CARD_DECLINED
	// there is no such run
	// <nil>
}

// serves reports whether a worker has registered the function.
func serves(ctx context.Context, client *starflow.Client, function string) bool {
	found, err := client.Validate(ctx, calls(function))
	return err == nil && found.Valid && len(found.Diagnostics) == 0
}

func TestWhatTheReadmeShowsIsExecuted(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	equal(t, len(shown), 4)
	for _, each := range shown {
		if !strings.Contains(string(here), each[1]) {
			t.Errorf("README.md shows what is not executed:\n%s", each[1])
		}
	}
}
