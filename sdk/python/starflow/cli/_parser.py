"""The grammar of the command line."""

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from starflow._connection import DEFAULT_ADDRESS, DEFAULT_NAMESPACE
from starflow.cli import _commands, _exits, _lists, _queues, _scripts, _worker

_EXAMPLES = """\
examples:
  starflow serve
  starflow worker shop.py
  starflow run order.star --input '{"order": "A-1"}' --run-id order-A-1 --wait
  starflow events order-A-1 --follow
  starflow signal order-A-1 --name approval '{"approved": true}'
  starflow cancel order-A-1 --reason 'ordered twice'
"""


class _Parser(argparse.ArgumentParser):
    """Complains in one line, like everything else here."""

    as_json = False

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )

    def error(self, message: str) -> NoReturn:
        found = _exits.Complaint(_exits.USAGE, f"{message}; see {self.prog} --help")
        sys.exit(_exits.complain(found, as_json=self.as_json))


def execute(arguments: Sequence[str]) -> int:
    """Execute the command that *arguments* ask for and return its exit code."""
    as_json = "--json" in arguments
    options = _build(as_json).parse_args(arguments)
    options.json = as_json
    options.address = _setting(options, "address", DEFAULT_ADDRESS)
    options.namespace = _setting(options, "namespace", DEFAULT_NAMESPACE)
    try:
        code: int = options.execute(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _exits.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _exits.OK
    except Exception as error:
        found = _exits.complaint(error, options.address)
        return _exits.complain(found, as_json=as_json)
    return code


def _setting(options: argparse.Namespace, name: str, default: str) -> str:
    from_environment = os.environ.get(f"STARFLOW_{name.upper()}") or default
    return getattr(options, name, None) or from_environment


def _build(as_json: bool) -> argparse.ArgumentParser:
    class Parser(_Parser):
        pass

    # A class of its own, because argparse makes the parsers of commands itself.
    Parser.as_json = as_json
    parser = Parser(
        prog="starflow",
        description="Durable workflows as Starlark scripts, over gRPC.",
        epilog=f"{_EXAMPLES}\n{_exits.DESCRIPTION}",
        parents=[_common()],
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, parser_class=Parser
    )
    _add_serve(commands)
    _add_run(commands)
    _add_get(commands)
    _add_events(commands)
    _add_signal(commands)
    _add_cancel(commands)
    _add_terminate(commands)
    _add_unpause(commands)
    _add_list(commands)
    _add_delete(commands)
    _add_queue(commands)
    _add_functions(commands)
    _add_workers(commands)
    _add_replicas(commands)
    _add_validate(commands)
    _add_worker(commands)
    _add_worker_check(commands)
    return parser


def _common() -> argparse.ArgumentParser:
    """Return the options that may stand before and after the command."""
    # Suppressed, so that the default of one place does not hide what the other says.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument(
        "--address", metavar="HOST:PORT", help=f"the service; {_origin('ADDRESS')}"
    )
    common.add_argument(
        "--namespace", metavar="NAME", help=f"the namespace; {_origin('NAMESPACE')}"
    )
    common.add_argument(
        "--json", action="store_true", help="print JSON instead of tables"
    )
    return common


def _origin(name: str) -> str:
    default = {"ADDRESS": DEFAULT_ADDRESS, "NAMESPACE": DEFAULT_NAMESPACE}[name]
    return f"else STARFLOW_{name}, else {default}"


def _add(commands: Any, name: str, help: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{example}",
        parents=[_common()],
    )
    return parser


def _on_client(parser: argparse.ArgumentParser, command: _commands.Command) -> None:
    def execute(options: argparse.Namespace) -> int:
        return asyncio.run(_commands.with_client(command, options))

    parser.set_defaults(execute=execute)


def _add_serve(commands: Any) -> None:
    # Only for the list: what follows `serve` never gets here.
    parser = commands.add_parser(
        "serve", help="start a server; serve --help lists its options", add_help=False
    )
    parser.set_defaults(execute=_refuse_options_before_serve)
    parser = commands.add_parser(
        "store",
        help="check, export or import a store that no server uses; see store --help",
        add_help=False,
    )
    parser.set_defaults(execute=_refuse_options_before_serve)


def _refuse_options_before_serve(_: argparse.Namespace) -> int:
    raise _exits.CommandError(
        "serve and store come first, as in starflow serve [OPTIONS]"
    )


def _add_run(commands: Any) -> None:
    parser = _add(
        commands,
        "run",
        "start a run of a script",
        '  starflow run order.star --input \'{"order": "A-1"}\' --wait\n'
        "  starflow run order.star --input @order.json --run-id order-A-1\n"
        "  generate | starflow run order.star --input - --wait 60 --json\n"
        "  starflow run flows/order --entry order.star",
    )
    _scripts.add_arguments(parser)
    parser.add_argument(
        "--input",
        metavar="JSON",
        help="the input: JSON, @FILE, or - for standard input; null if left out",
    )
    parser.add_argument(
        "--run-id",
        metavar="ID",
        help="the run's id; the same id, script and input find the same run again",
    )
    parser.add_argument(
        "--label",
        metavar="NAME=VALUE",
        action="append",
        type=_lists.label,
        default=[],
        help="what `starflow list` finds the run by; more than one may be given",
    )
    _add_wait(parser)
    parser.add_argument(
        "--allow-unregistered",
        action="store_true",
        help="accept calls of functions that no worker has registered yet",
    )
    _on_client(parser, _commands.run)


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        nargs="?",
        type=_wait_seconds,
        const=math.inf,
        help="wait for the result, for ever or so long, and print it",
    )


def _wait_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        problem = f"{text!r} is no number of seconds (put FILE before --wait)"
        raise argparse.ArgumentTypeError(problem) from None
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a time to wait")
    return seconds


def _add_get(commands: Any) -> None:
    example = "  starflow get order-A-1\n  starflow get order-A-1 --json | jq .output"
    parser = _add(commands, "get", "show a run as it stands", example)
    parser.add_argument("run", metavar="RUN", help="the run's id")
    _on_client(parser, _commands.get)


def _add_events(commands: Any) -> None:
    parser = _add(
        commands,
        "events",
        "print the log of a run",
        "  starflow events order-A-1\n"
        "  starflow events order-A-1 --follow --json\n"
        "  starflow events order-A-1 --from 8",
    )
    parser.add_argument("run", metavar="RUN", help="the run's id")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on with new events until the run has finished",
    )
    parser.add_argument(
        "--from",
        dest="from_version",
        metavar="VERSION",
        type=_positive("a version"),
        default=1,
        help="begin at this version",
    )
    _on_client(parser, _commands.events)


def _add_signal(commands: Any) -> None:
    parser = _add(
        commands,
        "signal",
        "answer a run that waits for a signal",
        "  starflow signal order-A-1 --name approval '{\"approved\": true}'\n"
        "  starflow signal order-A-1 SIGNAL_ID --output '{\"approved\": true}'\n"
        "  starflow signal order-A-1 SIGNAL_ID --fail REFUSED 'the boss said no'",
    )
    parser.add_argument("run", metavar="RUN", help="the run's id")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "signal_id",
        metavar="SIGNAL_ID",
        nargs="?",
        help="of a call that waits, as shown by: starflow get RUN",
    )
    target.add_argument(
        "--name",
        metavar=("NAME", "VALUE"),
        nargs="+",
        help="what the script waits for, now or later; VALUE is short for --output",
    )
    parser.add_argument(
        "--request-id",
        metavar="ID",
        help="with --name: the same id twice is one signal; one is made up if left out",
    )
    parser.add_argument(
        "--only-if-waiting",
        action="store_true",
        help="refuse rather than keep it when the run does not wait for it now",
    )
    content = parser.add_mutually_exclusive_group()
    content.add_argument(
        "--output",
        metavar="JSON",
        help="what the run is given: JSON, @FILE or -; null if left out",
    )
    content.add_argument(
        "--fail",
        nargs=2,
        metavar=("CODE", "MESSAGE"),
        help="let the run be given a failure instead",
    )
    _on_client(parser, _commands.signal)


def _add_cancel(commands: Any) -> None:
    parser = _add(
        commands,
        "cancel",
        "ask a run to end; its deferred functions run",
        "  starflow cancel order-A-1 --reason 'ordered twice'\n"
        "  starflow cancel order-A-1 --wait 60",
    )
    parser.add_argument("run", metavar="RUN", help="the run's id")
    _add_reason(parser)
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        nargs="?",
        type=_wait_seconds,
        const=math.inf,
        help="wait until it has ended, for ever or so long",
    )
    _on_client(parser, _commands.cancel)


def _add_terminate(commands: Any) -> None:
    parser = _add(
        commands,
        "terminate",
        "end a run at once, without any more of its script",
        "  starflow terminate order-A-1 --reason 'its script is broken'",
    )
    parser.add_argument("run", metavar="RUN", help="the run's id")
    _add_reason(parser)
    _on_client(parser, _commands.terminate)


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="why, for people; kept in the log"
    )


def _add_unpause(commands: Any) -> None:
    example = "  starflow unpause order-A-1"
    help = "let a run that the service paused try again"
    parser = _add(commands, "unpause", help, example)
    parser.add_argument("run", metavar="RUN", help="the run's id")
    _on_client(parser, _commands.unpause)


def _add_list(commands: Any) -> None:
    parser = _add(commands, "list", "list runs, the newest first", _lists.LIST_EXAMPLES)
    _lists.add_list_arguments(parser)
    _on_client(parser, _lists.list_runs)


def _add_delete(commands: Any) -> None:
    help = "delete runs that have finished, for good"
    parser = _add(commands, "delete", help, _lists.DELETE_EXAMPLES)
    _lists.add_delete_arguments(parser)
    _on_client(parser, _lists.delete)


def _add_queue(commands: Any) -> None:
    help = "bound how many calls of a queue are executed"
    queue = _add(commands, "queue", help, _queues.EXAMPLES)
    verbs = queue.add_subparsers(
        metavar="COMMAND", required=True, parser_class=type(queue)
    )
    parser = _add(verbs, "set", "set the limits of a queue", _queues.SET_EXAMPLES)
    _queues.add_set_arguments(parser)
    _on_client(parser, _queues.set_queue)
    help = "show the queues with limits, and how they stand"
    parser = _add(verbs, "list", help, "  starflow queue list")
    _on_client(parser, _queues.list_queues)
    help = "take the limits of a queue away"
    parser = _add(verbs, "delete", help, "  starflow queue delete payments")
    parser.add_argument("name", metavar="NAME", help="the queue")
    _on_client(parser, _queues.delete_queue)


def _add_functions(commands: Any) -> None:
    help = "show the functions, who serves them, and what waits for them"
    parser = _add(commands, "functions", help, "  starflow functions")
    _on_client(parser, _queues.list_functions)


def _add_workers(commands: Any) -> None:
    help = "show the workers that were heard of lately"
    parser = _add(commands, "workers", help, "  starflow workers --json | jq .id")
    _on_client(parser, _queues.list_workers)


def _add_replicas(commands: Any) -> None:
    help = "show the servers that share the store, and what each owns"
    parser = _add(commands, "replicas", help, "  starflow replicas")
    _on_client(parser, _queues.list_replicas)


def _add_validate(commands: Any) -> None:
    example = (
        "  starflow validate order.star\n"
        "  starflow validate flows/*.star --json | jq .diagnostics\n"
        "  generate | starflow validate -"
    )
    help = "check scripts without running them"
    parser = _add(commands, "validate", help, example)
    _scripts.add_arguments(parser, several=True)
    _on_client(parser, _commands.validate)


def _add_worker(commands: Any) -> None:
    parser = _add(
        commands,
        "worker",
        "execute the functions of a Python file or module",
        "  starflow worker shop.py\n"
        "  starflow worker shop.functions:payments --concurrency 8",
    )
    parser.add_argument(
        "target",
        metavar="MODULE[:ATTRIBUTE]",
        help="a file or a dotted module; all starflow.Modules in it, or the named one",
    )
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=_positive("a number of tasks"),
        default=64,
        help="how many tasks to execute at a time; 64 if left out",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=_positive("a number of processes"),
        help="for functions that run in some; one for each CPU if left out",
    )
    parser.set_defaults(execute=_worker.work)


def _add_worker_check(commands: Any) -> None:
    parser = _add(
        commands,
        "worker-check",
        "check that a program is a worker that survives everything",
        "  starflow worker-check -- ./my-worker\n"
        "  starflow worker-check --only drain --only restart -- node worker.js\n"
        "  starflow worker-check --profile basic --json -- bash worker.sh",
    )
    parser.add_argument(
        "--profile",
        choices=("basic", "full"),
        default="full",
        help="basic leaves out what a worker without heartbeats cannot do",
    )
    parser.add_argument(
        "--only",
        metavar="ROW",
        action="append",
        default=[],
        help="play this row of the table; may be given several times",
    )
    parser.add_argument(
        "--patience",
        metavar="SECONDS",
        type=_positive("a number of seconds"),
        default=15,
        help="how long to wait for what the worker is to do; 15 if left out",
    )
    parser.add_argument(
        "--streams",
        action="store_true",
        help="let it work over streams; otherwise it has to poll",
    )
    parser.add_argument(
        "command",
        metavar="COMMAND",
        nargs="+",
        help="what starts the worker; it finds the service at STARFLOW_ADDRESS",
    )
    parser.set_defaults(execute=_check_worker)


def _check_worker(options: argparse.Namespace) -> int:
    # Only here, because nothing else needs it and it is not small.
    from starflow.cli import _check

    return _check.check(options)


def _positive(what: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}, from 1 on")
        return int(text)

    return read


def _version() -> str:
    from starflow._version import version

    return f"starflow {version()}"
