// Command oasis-interop answers one JSON request a line on standard input with one JSON line on standard
// output, using the real Oasis Core storage code. It knows nothing of leafmirror: it is the other side.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// handler answers one command; its parameters are the request's fields.
type handler func(ctx context.Context, s *session, raw json.RawMessage) (any, error)

var handlers = map[string]handler{
	"open":       open,
	"commit":     commit,
	"finalize":   finalize,
	"close":      closeDB,
	"checkpoint": createCheckpoint,
	"restore":    restoreCheckpoint,
	"get":        syncGet,
	"prefixes":   syncGetPrefixes,
	"iterate":    syncIterate,
	"verify":     verifyProof,
	"serve":      serve,
	"call":       call,
}

func answer(ctx context.Context, s *session, line []byte) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var head struct {
		Cmd string `json:"cmd"`
	}
	if err = json.Unmarshal(line, &head); err != nil {
		return nil, err
	}
	h, ok := handlers[head.Cmd]
	if !ok {
		return nil, fmt.Errorf("unknown command %q", head.Cmd)
	}
	return h(ctx, s, line)
}

func run() error {
	ctx := context.Background()
	s, err := newSession()
	if err != nil {
		return err
	}
	defer s.close()

	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 1 {
			result, failure := answer(ctx, s, line)
			reply := map[string]any{"ok": result}
			if failure != nil {
				reply = map[string]any{"error": failure.Error()}
			}
			if err := out.Encode(reply); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oasis-interop:", err)
		os.Exit(1)
	}
}
