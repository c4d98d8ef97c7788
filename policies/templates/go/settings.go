package main

import (
	"fmt"

	"policy/contract"
)

// manifest is what the policy says of itself. Both hooks give the same name and version.
func manifest(summary string, reads contract.Reads, settings ...contract.Setting) contract.Manifest {
	return contract.Manifest{Name: "{{name}}", Version: "1.0.0", Summary: summary, Settings: settings, Reads: reads}
}

// wholeNumber is a setting in one place: its name, meaning, range and default.
type wholeNumber struct {
	name, summary        string
	least, most, initial int64
}

// entry is the setting's line in the manifest.
func (n wholeNumber) entry() contract.Setting {
	return contract.Setting{Name: n.name, Summary: n.summary, Default: n.initial, Meaning: contract.Range{Least: float64(n.least), Most: float64(n.most)}}
}

// read returns the operator's value or the default.
func (n wholeNumber) read() (uint32, error) {
	value, given := contract.Get(n.name).(int64)
	if !given {
		value = n.initial
	}
	if value < n.least || value > n.most {
		return 0, fmt.Errorf("setting %s should be a whole number from %d to %d, but is %d", n.name, n.least, n.most, value)
	}
	return uint32(value), nil
}
