package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/oasisprotocol/oasis-core/go/common"
	"github.com/oasisprotocol/oasis-core/go/common/cbor"
	"github.com/oasisprotocol/oasis-core/go/common/crypto/hash"
	"github.com/oasisprotocol/oasis-core/go/storage/api"
	"github.com/oasisprotocol/oasis-core/go/storage/database"
	"github.com/oasisprotocol/oasis-core/go/storage/mkvs"
)

// hexBytes is a byte string written in hex; JSON null is nil, "" is empty and not nil.
type hexBytes []byte

func (b *hexBytes) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*b = nil
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return err
	}
	*b = append(make([]byte, 0), raw...)
	return nil
}

func (b hexBytes) MarshalJSON() ([]byte, error) {
	if b == nil {
		return []byte("null"), nil
	}
	return json.Marshal(hex.EncodeToString(b))
}

// backend is one open database with its directory.
type backend struct {
	api.LocalBackend
	dir       string
	namespace common.Namespace
}

type session struct {
	scratch string
	next    int
	dbs     map[int]*backend
	servers []interface{ Stop() }
}

func newSession() (*session, error) {
	dir, err := os.MkdirTemp("", "oasis-interop-")
	if err != nil {
		return nil, err
	}
	return &session{scratch: dir, dbs: make(map[int]*backend)}, nil
}

func (s *session) close() {
	for _, server := range s.servers {
		server.Stop()
	}
	for _, db := range s.dbs {
		db.Cleanup()
	}
	_ = os.RemoveAll(s.scratch)
}

func (s *session) newBackend(name string, ns common.Namespace, onDisk bool) (int, *backend, error) {
	return s.openBackend(name, ns, onDisk, filepath.Join(s.scratch, fmt.Sprint(s.next+1)))
}

func (s *session) openBackend(name string, ns common.Namespace, onDisk bool, dir string) (int, *backend, error) {
	s.next++
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, nil, err
	}
	if name == "" {
		name = database.BackendNamePathBadger
	}
	local, err := database.New(&api.Config{
		Backend:      name,
		DB:           dir,
		Namespace:    ns,
		MaxCacheSize: 64 << 20,
		NoFsync:      true,
		MemoryOnly:   !onDisk,
	})
	if err != nil {
		return 0, nil, err
	}
	db := &backend{LocalBackend: local, dir: dir, namespace: ns}
	s.dbs[s.next] = db
	return s.next, db, nil
}

func (s *session) db(id int) (*backend, error) {
	db, ok := s.dbs[id]
	if !ok {
		return nil, fmt.Errorf("no database %d", id)
	}
	return db, nil
}

// rootOf decodes a root from its CBOR form.
func rootOf(raw []byte) (root api.Root, err error) {
	err = cbor.Unmarshal(raw, &root)
	return root, err
}

// open {namespace, backend, on_disk, dir} -> {db}
//
// dir: where the database is kept, or a fresh place if it is not given.
func open(_ context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		Namespace hexBytes `json:"namespace"`
		Backend   string   `json:"backend"`
		OnDisk    bool     `json:"on_disk"`
		Dir       string   `json:"dir"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	var ns common.Namespace
	if err := ns.UnmarshalBinary(p.Namespace); err != nil {
		return nil, err
	}
	if p.Dir == "" {
		id, _, err := s.newBackend(p.Backend, ns, p.OnDisk)
		return map[string]any{"db": id}, err
	}
	id, _, err := s.openBackend(p.Backend, ns, p.OnDisk, p.Dir)
	return map[string]any{"db": id}, err
}

// commit {db, old_root (CBOR, null = empty), version, type, ops: [[key, value or null]], leaves_file} -> {root, hash}
//
// leaves_file holds (u32le key size, u32le value size, key, value) one after the other.
func commit(ctx context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		DB         int          `json:"db"`
		OldRoot    hexBytes     `json:"old_root"`
		Version    uint64       `json:"version"`
		Type       uint8        `json:"type"`
		Ops        [][]hexBytes `json:"ops"`
		LeavesFile string       `json:"leaves_file"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	db, err := s.db(p.DB)
	if err != nil {
		return nil, err
	}
	// No cache limit: the tree is wholly dirty until it is committed.
	tree := mkvs.New(nil, db.NodeDB(), api.RootType(p.Type), mkvs.Capacity(0, 0))
	if p.OldRoot != nil {
		old, err := rootOf(p.OldRoot)
		if err != nil {
			return nil, err
		}
		tree = mkvs.NewWithRoot(nil, db.NodeDB(), old, mkvs.Capacity(0, 0))
	}
	defer tree.Close()

	for _, op := range p.Ops {
		if op[1] == nil {
			err = tree.Remove(ctx, op[0])
		} else {
			err = tree.Insert(ctx, op[0], op[1])
		}
		if err != nil {
			return nil, err
		}
	}
	if p.LeavesFile != "" {
		if err = insertFile(ctx, tree, p.LeavesFile); err != nil {
			return nil, err
		}
	}
	_, rootHash, err := tree.Commit(ctx, db.namespace, p.Version)
	if err != nil {
		return nil, err
	}
	root := api.Root{Namespace: db.namespace, Version: p.Version, Type: api.RootType(p.Type), Hash: rootHash}
	encodedHash := root.EncodedHash()
	return map[string]any{
		"root":         hexBytes(cbor.Marshal(root)),
		"encoded_hash": hexBytes(encodedHash[:]),
		"hash":         hexBytes(rootHash[:]),
	}, nil
}

func insertFile(ctx context.Context, tree mkvs.Tree, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	for {
		var sizes [8]byte
		if _, err = io.ReadFull(in, sizes[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		key := make([]byte, binary.LittleEndian.Uint32(sizes[:4]))
		value := make([]byte, binary.LittleEndian.Uint32(sizes[4:]))
		if _, err = io.ReadFull(in, key); err != nil {
			return err
		}
		if _, err = io.ReadFull(in, value); err != nil {
			return err
		}
		if err = tree.Insert(ctx, key, value); err != nil {
			return err
		}
	}
}

// finalize {db, roots: [CBOR]} -> {}
func finalize(_ context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		DB    int        `json:"db"`
		Roots []hexBytes `json:"roots"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	db, err := s.db(p.DB)
	if err != nil {
		return nil, err
	}
	var roots []api.Root
	for _, encoded := range p.Roots {
		root, err := rootOf(encoded)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	return map[string]any{}, db.NodeDB().Finalize(roots)
}

// close {db, keep} -> {}
func closeDB(_ context.Context, s *session, raw json.RawMessage) (any, error) {
	var p struct {
		DB   int  `json:"db"`
		Keep bool `json:"keep"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	db, err := s.db(p.DB)
	if err != nil {
		return nil, err
	}
	db.Cleanup()
	delete(s.dbs, p.DB)
	if p.Keep {
		return map[string]any{}, nil
	}
	return map[string]any{}, os.RemoveAll(db.dir)
}

// leavesHash reads a whole state and returns its leaf count and H over (u32le key size, u32le value size, key, value)*.
func leavesHash(ctx context.Context, db *backend, root api.Root) (int, hash.Hash, error) {
	tree := mkvs.NewWithRoot(nil, db.NodeDB(), root)
	defer tree.Close()
	it := tree.NewIterator(ctx)
	defer it.Close()

	count := 0
	builder := hash.NewBuilder()
	for it.Rewind(); it.Valid(); it.Next() {
		var sizes [8]byte
		binary.LittleEndian.PutUint32(sizes[:4], uint32(len(it.Key())))
		binary.LittleEndian.PutUint32(sizes[4:], uint32(len(it.Value())))
		for _, part := range [][]byte{sizes[:], it.Key(), it.Value()} {
			_, _ = builder.Write(part)
		}
		count++
	}
	return count, builder.Build(), it.Err()
}
