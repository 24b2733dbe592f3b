//go:build !linux

package starflow_test

import "syscall"

var dieWithParent *syscall.SysProcAttr
