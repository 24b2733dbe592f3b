package starflow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starflow/starflow-go"
)

// patience is what a test waits for before it counts as hanging. Nothing takes as long.
const patience = 60 * time.Second

// shared is a server for tests that leave it alive.
var shared *server

func TestMain(m *testing.M) {
	os.Exit(withShared(m.Run))
}

func withShared(run func() int) int {
	place, err := os.MkdirTemp("", "starflow-go-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(place)
	shared = &server{place: place}
	if err := shared.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.kill()
	return run()
}

// server is `python -m starflow_service`; the address stays the same over its lives.
type server struct {
	place   string
	options []string
	port    int
	starts  int
	went    *exec.Cmd
	ended   <-chan error // what the process came to
}

func newServer(t *testing.T, options ...string) *server {
	t.Helper()
	made := &server{place: t.TempDir(), options: options}
	made.mustStart(t)
	t.Cleanup(made.kill)
	return made
}

func (s *server) mustStart(t *testing.T) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *server) address() string {
	return "127.0.0.1:" + strconv.Itoa(s.port)
}

// start comes back when the server listens.
func (s *server) start() error {
	s.starts++
	portFile := filepath.Join(s.place, "port-"+strconv.Itoa(s.starts))
	s.went = python(append([]string{"-m", "starflow_service",
		"--store", "sqlite:" + filepath.Join(s.place, "starflow.db"),
		"--listen", "127.0.0.1:" + strconv.Itoa(s.port),
		"--port-file", portFile}, s.options...)...)
	said, err := os.Create(filepath.Join(s.place, "said-"+strconv.Itoa(s.starts)))
	if err != nil {
		return err
	}
	defer said.Close()
	s.went.Stdout, s.went.Stderr = said, said
	if err := s.went.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.went.Wait() }()
	s.ended = ended
	for ends := time.Now().Add(patience); time.Now().Before(ends) && len(ended) == 0; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(portFile); err == nil {
			if s.port, err = strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				return nil
			}
		}
	}
	words, _ := os.ReadFile(said.Name())
	return fmt.Errorf("the server does not listen: %s", words)
}

// kill ends it as a power cut would.
func (s *server) kill() {
	if s.ended == nil {
		return
	}
	_ = s.went.Process.Kill()
	<-s.ended
	s.ended = nil
}

// terminate asks it to end, and comes back when it has.
func (s *server) terminate() error {
	if err := s.went.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := <-s.ended
	s.ended = nil
	return err
}

// python returns a command with the packages of this tree. STARFLOW_PYTHON names the
// interpreter; without it, it is that of the tree's environment.
func python(arguments ...string) *exec.Cmd {
	root, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	interpreter := os.Getenv("STARFLOW_PYTHON")
	if interpreter == "" {
		interpreter = filepath.Join(root, ".venv/bin/python")
	}
	command := exec.Command(interpreter, arguments...)
	command.SysProcAttr = dieWithParent
	for _, each := range os.Environ() {
		// A setting of the person who runs the tests is not meant for the server.
		if !strings.HasPrefix(each, "STARFLOW_") {
			command.Env = append(command.Env, each)
		}
	}
	var rooms []string
	for _, room := range []string{"service", "backends", "sdk/python"} {
		rooms = append(rooms, filepath.Join(root, room))
	}
	command.Env = append(command.Env, "PYTHONPATH="+strings.Join(rooms, string(os.PathListSeparator)))
	return command
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T, at *server, options ...starflow.ClientOption) *starflow.Client {
	t.Helper()
	quiet := starflow.Logger(slog.New(slog.DiscardHandler))
	client, err := starflow.Dial(patient(t), at.address(), append([]starflow.ClientOption{quiet}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// transports are the two ways in which a worker may talk to the service. What holds for
// one has to hold for the other.
var transports = map[string][]starflow.WorkerOption{
	"stream": nil,
	"unary":  {starflow.Unary()},
}

// overBoth runs a test for each of the transports.
func overBoth(t *testing.T, test func(t *testing.T, options ...starflow.WorkerOption)) {
	t.Helper()
	t.Parallel()
	for name, options := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, options...)
		})
	}
}

// namespaced returns a client of the shared server with a namespace of its own.
func namespaced(t *testing.T) *starflow.Client {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	return newClient(t, shared, starflow.Namespace(name[:min(len(name), 60)]))
}

// begin starts a worker, and sees to it that it ends without an error.
func begin(t *testing.T, worker *starflow.Worker) {
	t.Helper()
	if err := worker.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		worker.Stop()
		if err := worker.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func start(t *testing.T, client *starflow.Client, script string, input any, options ...starflow.StartOption) *starflow.Run {
	t.Helper()
	run, err := client.Start(patient(t), script, input, options...)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// result returns the output of a run that has to succeed.
func result[T any](t *testing.T, run *starflow.Run) (out T) {
	t.Helper()
	if err := run.Result(patient(t), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// failure returns why a run failed that has to fail.
func failure(t *testing.T, run *starflow.Run) *starflow.Failure {
	t.Helper()
	err := run.Result(patient(t), nil)
	var failed *starflow.RunFailedError
	if !errors.As(err, &failed) {
		t.Fatalf("the run came to %v", err)
	}
	return failed.Failure
}

// events returns all events of a finished run.
func events(t *testing.T, run *starflow.Run) (all []*starflow.Event) {
	t.Helper()
	for event, err := range run.Events(patient(t)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, event)
	}
	return all
}

// calls is a script that calls a function with the input.
func calls(function string) string {
	return "def main(ctx, input):\n    return " + function + "(ctx=ctx, req=input)\n"
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// arrives returns what comes out of a channel.
func arrives[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("not in %v: %s", patience, what)
		panic("unreachable")
	}
}
