// Package starflow starts workflows, and executes the functions they call.
//
// A [Client] starts runs, waits for them, signals them and reads their logs. A [Worker]
// executes functions for runs: see [Register]. What can go wrong is in errors.go, and is
// told apart by [errors.Is] and [errors.As].
//
// Values travel as JSON. Integers of any size are exact, and 1 differs from 1.0: an
// argument or result of type any holds numbers as [json.Number], and Go's floats are
// always written with a fraction. [json.RawMessage] passes text through as it is.
//
// The generated API is the package starflowv1 beside this one.
package starflow
