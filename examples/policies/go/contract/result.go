package contract

import "unsafe"

// described writes a manifest for the gateway.
func described(manifest Manifest) unsafe.Pointer {
	answer := &cursor{base: allocate(manifestSize)}
	answer.putManifest(manifest)
	return answer.base
}

// configured writes whether the settings will do.
func configured(err error) unsafe.Pointer {
	return result(4+textSize, 4, err, func(*cursor) {})
}

// setModels keeps the configured models, whose texts stay where the gateway put them.
func setModels(base unsafe.Pointer, count uint32) {
	models = make([]Model, count)
	for i := range models {
		models[i] = (&cursor{base: base, at: uint32(i) * modelSize}).model()
	}
	release()
}

// result writes a result of this size and alignment: an error with its sentence, or what put writes.
func result(size, align uint32, err error, put func(*cursor)) unsafe.Pointer {
	answer := &cursor{base: allocate(size)}
	if err != nil {
		answer.putU8(1)
		answer.align(align)
		answer.putText(err.Error())
		return answer.base
	}
	answer.putU8(0)
	answer.align(align)
	put(answer)
	return answer.base
}

// arguments reads what both hooks are called with.
func arguments(base unsafe.Pointer) (*Request, []Candidate) {
	c := &cursor{base: base}
	request := c.request()
	c.align(8)
	request.Messages = c.prompt()
	return &request, list(c, candidateSize, (*cursor).candidate)
}
