package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/oasisprotocol/oasis-core/go/common/cbor"
	"github.com/oasisprotocol/oasis-core/go/storage/api"
	"github.com/oasisprotocol/oasis-core/go/storage/mkvs/checkpoint"
)

// checkpoint {db, root (CBOR), dir, chunk_bytes, threads} -> {meta, encoded_hash, seconds}
func createCheckpoint(ctx context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		DB         int      `json:"db"`
		Root       hexBytes `json:"root"`
		Dir        string   `json:"dir"`
		ChunkBytes uint64   `json:"chunk_bytes"`
		Threads    uint16   `json:"threads"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	db, err := s.db(p.DB)
	if err != nil {
		return nil, err
	}
	root, err := rootOf(p.Root)
	if err != nil {
		return nil, err
	}
	creator, err := checkpoint.NewFileCreator(p.Dir, db.NodeDB())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	meta, err := creator.CreateCheckpoint(ctx, root, p.ChunkBytes, p.Threads)
	if err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	encodedHash := meta.EncodedHash()
	return map[string]any{
		"meta":         hexBytes(cbor.Marshal(meta)),
		"encoded_hash": hexBytes(encodedHash[:]),
		"seconds":      seconds,
	}, nil
}

// restore {dir (of one checkpoint: meta and chunks), backend, on_disk} -> {root, count, leaves_hash, seconds, done}
//
// Chunks go through the real restorer into a fresh database, which is finalised and read back whole.
func restoreCheckpoint(ctx context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		Dir     string `json:"dir"`
		Backend string `json:"backend"`
		OnDisk  bool   `json:"on_disk"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	encoded, err := os.ReadFile(filepath.Join(p.Dir, "meta"))
	if err != nil {
		return nil, err
	}
	var meta checkpoint.Metadata
	if err = cbor.Unmarshal(encoded, &meta); err != nil {
		return nil, err
	}
	id, db, err := s.newBackend(p.Backend, meta.Root.Namespace, p.OnDisk)
	if err != nil {
		return nil, err
	}
	defer func() {
		db.Cleanup()
		delete(s.dbs, id)
		_ = os.RemoveAll(db.dir)
	}()

	began := time.Now()
	done, err := feed(ctx, db, &meta, filepath.Join(p.Dir, "chunks"))
	if err != nil {
		return nil, err
	}
	if err = db.NodeDB().Finalize([]api.Root{meta.Root}); err != nil {
		return nil, fmt.Errorf("finalize: %w", err)
	}
	seconds := time.Since(began).Seconds()
	count, leaves, err := leavesHash(ctx, db, meta.Root)
	if err != nil {
		return nil, fmt.Errorf("reading back: %w", err)
	}
	return map[string]any{
		"root":        hexBytes(cbor.Marshal(meta.Root)),
		"done":        done,
		"count":       count,
		"leaves_hash": hexBytes(leaves[:]),
		"seconds":     seconds,
	}, nil
}

func feed(ctx context.Context, db *backend, meta *checkpoint.Metadata, chunks string) (bool, error) {
	if err := db.NodeDB().StartMultipartInsert(meta.Root.Version); err != nil {
		return false, err
	}
	restorer := db.Checkpointer()
	if err := restorer.StartRestore(ctx, meta); err != nil {
		return false, err
	}
	done := false
	for i := range meta.Chunks {
		chunk, err := os.ReadFile(filepath.Join(chunks, strconv.Itoa(i)))
		if err != nil {
			return false, err
		}
		if done, err = restorer.RestoreChunk(ctx, uint64(i), bytes.NewReader(chunk)); err != nil {
			return false, fmt.Errorf("chunk %d: %w", i, err)
		}
	}
	return done, nil
}
