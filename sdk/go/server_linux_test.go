package starflow_test

import "syscall"

// Not even a test run that was itself killed leaves a server behind.
var dieWithParent = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
