package contract

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// logPanic writes a hook's panic to the operator's log and ends the instance: the gateway counts a failure, and the next
// call gets a fresh instance.
func logPanic() {
	if reason := recover(); reason != nil {
		Log(Error, fmt.Sprintf("panic: %v, at %s", reason, panicked()))
		os.Exit(2)
	}
}

// panicked returns the file and line below the runtime's own frames.
func panicked() string {
	stack := make([]uintptr, 32)
	// Without runtime.Callers, this function and logPanic.
	frames := runtime.CallersFrames(stack[:runtime.Callers(3, stack)])
	for {
		frame, more := frames.Next()
		if !more || !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", frame.File, frame.Line)
		}
	}
}
