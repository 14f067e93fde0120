"""sync: how state travels. It puts `proofs` (what a root is) and `flatdb` (where leaves live) together.

Lowest first:

    root · limits · errors · monitor             what everything here speaks of
    chunk_name · manifest · compression · chunk  the formats (docs/format.md has their bytes)
    cut · fold_pool · spine · state_fold         from leaves in order to chunks, frontiers and roots
    object_store · checkpoint_store              where checkpoints are kept
    mirror                                       a leaf database that knows its scheme
    checkpoint · verify · prove                  make one, judge one, answer out of one
    wire · openapi · quota · stored · writelog_batches · server        the endpoint
    events · request · coverage · held · offers · flights · peers · judge · session
                                                 a restore without I/O: all trust passes there
    fetch · restored · progress · restore        the network, and the database that is filled

Nothing is imported here: a worker process that folds leaves should not load a web server.
"""
