package contract

import (
	"runtime"
	"unsafe"
)

//go:wasmimport wasmgate:policy/settings@2.0.0 get
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

//go:wasmimport wasmgate:policy/log@2.0.0 write
func writeLog(level uint32, line unsafe.Pointer, size uint32)

// Log writes a line to the operator's log. Never write prompts to it.
func Log(level Level, line string) {
	writeLog(uint32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
	runtime.KeepAlive(line)
}

//go:wasmimport wasmgate:policy/request-facts@2.0.0 id
func requestID(answer unsafe.Pointer)

//go:wasmimport wasmgate:policy/request-facts@2.0.0 dialect
func requestDialect(answer unsafe.Pointer)

//go:wasmimport wasmgate:policy/request-facts@2.0.0 tenant
func requestTenant(answer unsafe.Pointer)

//go:wasmimport wasmgate:policy/request-facts@2.0.0 label
func requestLabel(name unsafe.Pointer, size uint32, answer unsafe.Pointer)

// ID returns the request's id.
func ID() string {
	answer := &cursor{base: allocate(textSize)}
	requestID(answer.base)
	return answer.text()
}

// Dialect returns the wire dialect in which the client spoke, such as openai.
func Dialect() string {
	answer := &cursor{base: allocate(textSize)}
	requestDialect(answer.base)
	return answer.text()
}

// Tenant returns the tenant's name; nil for a policy that does not read tenants.
func Tenant() *string {
	answer := &cursor{base: allocate(4 + textSize)}
	requestTenant(answer.base)
	return option(answer, textSize, 4, (*cursor).text)
}

// Label returns the value of a label; nil if the request has none of that name, or the policy does not read it.
func Label(name string) *string {
	answer := &cursor{base: allocate(4 + textSize)}
	requestLabel(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), answer.base)
	runtime.KeepAlive(name)
	return option(answer, textSize, 4, (*cursor).text)
}
