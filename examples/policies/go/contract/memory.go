package contract

import (
	"math"
	"unsafe"
)

// The canonical ABI of components: the gateway calls cabi_realloc for the memory of what it passes, and reads a result
// where the returned pointer says. kept holds memory whose address only the gateway knows, so that the garbage collector
// leaves it. The collector never moves memory.
var kept []unsafe.Pointer

// release ends the life of what the gateway passed and read in earlier calls. A pointer into it keeps it alive.
func release() {
	clear(kept)
	kept = kept[:0]
}

func allocate(size uint32) unsafe.Pointer {
	// Of words, so that all types of the contract are aligned.
	pointer := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	kept = append(kept, pointer)
	return pointer
}

//go:wasmexport cabi_realloc
func reallocate(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	pointer := allocate(max(size, 1))
	copy(unsafe.Slice((*byte)(pointer), size), unsafe.Slice((*byte)(old), min(oldSize, size)))
	return pointer
}

// cursor reads or writes fields one after the other, each where its alignment puts it.
type cursor struct {
	base unsafe.Pointer
	at   uint32
}

func (c *cursor) align(to uint32) { c.at = (c.at + to - 1) &^ (to - 1) }

// field is the address of the next field, whose size is its alignment.
func (c *cursor) field(size uint32) unsafe.Pointer {
	c.align(size)
	field := unsafe.Add(c.base, c.at)
	c.at += size
	return field
}

func (c *cursor) u8() uint8    { return *(*uint8)(c.field(1)) }
func (c *cursor) bool() bool   { return c.u8() != 0 }
func (c *cursor) u32() uint32  { return *(*uint32)(c.field(4)) }
func (c *cursor) u64() uint64  { return *(*uint64)(c.field(8)) }
func (c *cursor) f64() float64 { return math.Float64frombits(c.u64()) }

func (c *cursor) address() unsafe.Pointer { return unsafe.Pointer(uintptr(c.u32())) }

func (c *cursor) text() string {
	data := (*byte)(c.address())
	return unsafe.String(data, c.u32())
}

// option reads an option of a type with this size and alignment.
func option[T any](c *cursor, size, align uint32, read func(*cursor) T) *T {
	c.align(align)
	some := c.bool()
	c.align(align)
	if !some {
		c.at += size
		return nil
	}
	value := read(c)
	return &value
}

// list reads a list of a type with this size.
func list[T any](c *cursor, size uint32, read func(*cursor) T) []T {
	base, count := c.address(), c.u32()
	items := make([]T, count)
	for i := range items {
		items[i] = read(&cursor{base: base, at: uint32(i) * size})
	}
	return items
}

func (c *cursor) putU8(value uint8)    { *(*uint8)(c.field(1)) = value }
func (c *cursor) putBool(value bool)   { c.putU8(*(*uint8)(unsafe.Pointer(&value))) }
func (c *cursor) putU32(value uint32)  { *(*uint32)(c.field(4)) = value }
func (c *cursor) putU64(value uint64)  { *(*uint64)(c.field(8)) = value }
func (c *cursor) putF64(value float64) { c.putU64(math.Float64bits(value)) }

func (c *cursor) putText(text string) {
	data := unsafe.Pointer(unsafe.StringData(text))
	kept = append(kept, data)
	c.putU32(uint32(uintptr(data)))
	c.putU32(uint32(len(text)))
}

// putOption writes an option of a type with this size and alignment.
func putOption[T any](c *cursor, size, align uint32, value *T, put func(*cursor, T)) {
	c.align(align)
	if value == nil {
		c.putU8(0)
		c.align(align)
		c.at += size
		return
	}
	c.putU8(1)
	c.align(align)
	put(c, *value)
}

// putList writes a list of a type with this size.
func putList[T any](c *cursor, size uint32, items []T, put func(*cursor, T)) {
	base := allocate(uint32(len(items)) * size)
	for i, item := range items {
		put(&cursor{base: base, at: uint32(i) * size}, item)
	}
	c.putU32(uint32(uintptr(base)))
	c.putU32(uint32(len(items)))
}
