// Times go-ethereum's own trie code on leaves that leafmirror wrote, one core, one JSON line a question.
//
//	geth-peer fold RUN           StackTrie over the run's leaves
//	geth-peer verify RUN SIZE N  VerifyRangeProof over N ranges of SIZE leaves, spread over the run
//
// RUN is a leaf run as docs/format.md defines it. Reading it, building the trie and making the proofs are not timed.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/ethdb/memorydb"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/triedb"
)

type leaves struct {
	keys, values [][]byte
}

// readRun splits a leaf run: count, key sizes, value sizes (u32 little-endian), keys, values.
func readRun(path string) (leaves, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return leaves{}, err
	}
	if len(data) < 4 {
		return leaves{}, fmt.Errorf("%s is not a leaf run", path)
	}
	count := int(binary.LittleEndian.Uint32(data))
	at := 4 + 8*count
	if at > len(data) {
		return leaves{}, fmt.Errorf("%s ends inside its sizes", path)
	}
	columns := [2][][]byte{make([][]byte, count), make([][]byte, count)}
	for column := range columns {
		for index := range count {
			size := int(binary.LittleEndian.Uint32(data[4+4*(column*count+index):]))
			if at+size > len(data) {
				return leaves{}, fmt.Errorf("%s ends inside its leaves", path)
			}
			columns[column][index] = data[at : at+size]
			at += size
		}
	}
	return leaves{columns[0], columns[1]}, nil
}

func fold(run leaves) (map[string]any, error) {
	start, used := time.Now(), cpuSeconds()
	builder := trie.NewStackTrie(nil)
	for index, key := range run.keys {
		if err := builder.Update(key, run.values[index]); err != nil {
			return nil, err
		}
	}
	root := builder.Hash()
	return result(root, len(run.keys), start, used), nil
}

func verify(run leaves, size, ranges int) (map[string]any, error) {
	db := triedb.NewDatabase(rawdb.NewMemoryDatabase(), triedb.HashDefaults)
	whole := trie.NewEmpty(db)
	for index, key := range run.keys {
		if err := whole.Update(key, run.values[index]); err != nil {
			return nil, err
		}
	}
	root := whole.Hash()
	type claim struct {
		from, to int
		proof    *memorydb.Database
	}
	claims := make([]claim, 0, ranges)
	for index := range ranges {
		from := index * (len(run.keys) - size) / ranges
		to := from + size
		proof := memorydb.New()
		if err := whole.Prove(run.keys[from], proof); err != nil {
			return nil, err
		}
		if err := whole.Prove(run.keys[to-1], proof); err != nil {
			return nil, err
		}
		claims = append(claims, claim{from, to, proof})
	}
	start, used := time.Now(), cpuSeconds()
	for _, c := range claims {
		if _, err := trie.VerifyRangeProof(root, run.keys[c.from], run.keys[c.from:c.to], run.values[c.from:c.to], c.proof); err != nil {
			return nil, err
		}
	}
	return result(root, size*ranges, start, used), nil
}

func result(root common.Hash, leaves int, start time.Time, used float64) map[string]any {
	return map[string]any{
		"root":        root.Hex(),
		"leaves":      leaves,
		"seconds":     time.Since(start).Seconds(),
		"cpu_seconds": cpuSeconds() - used,
	}
}

// cpuSeconds is what this process has used of its one core: a busy machine does not make it longer.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func run(args []string) (map[string]any, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("usage: geth-peer fold RUN | geth-peer verify RUN SIZE N")
	}
	input, err := readRun(args[1])
	if err != nil {
		return nil, err
	}
	switch {
	case args[0] == "fold" && len(args) == 2:
		return fold(input)
	case args[0] == "verify" && len(args) == 4:
		size, err := strconv.Atoi(args[2])
		if err != nil {
			return nil, err
		}
		ranges, err := strconv.Atoi(args[3])
		if err != nil {
			return nil, err
		}
		if size < 1 || ranges < 1 || size > len(input.keys) {
			return nil, fmt.Errorf("a range has 1 to %d leaves", len(input.keys))
		}
		return verify(input, size, ranges)
	}
	return nil, fmt.Errorf("unknown command %q", args[0])
}

func main() {
	runtime.GOMAXPROCS(1)
	result, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "geth-peer:", err)
		os.Exit(1)
	}
	result["peer"] = "go-ethereum"
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}
