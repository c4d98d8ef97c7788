package contract

import (
	"runtime"
	"unsafe"
)

//go:wasmimport wasmgate:policy/settings@1.0.0 get
func getSetting(name unsafe.Pointer, size uint32, answer unsafe.Pointer)

// Get returns the operator's value of a setting, with the type of its default; a whole number may also be an int64.
// It returns nil if the operator gave none.
func Get(name string) any {
	answer := &cursor{base: allocate(8 + valueSize)}
	getSetting(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), answer.base)
	runtime.KeepAlive(name)
	if value := option(answer, valueSize, 8, (*cursor).value); value != nil {
		return *value
	}
	return nil
}

// Level says how much a line of the log matters.
type Level uint32

const (
	Debug Level = iota
	Info
	Warn
	Error
)

//go:wasmimport wasmgate:policy/log@1.0.0 write
func writeLog(level uint32, line unsafe.Pointer, size uint32)

// Log writes a line to the operator's log. Never write prompts to it.
func Log(level Level, line string) {
	writeLog(uint32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
	runtime.KeepAlive(line)
}
