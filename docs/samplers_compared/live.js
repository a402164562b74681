globalThis.batchgenLive?.({"version": "e677011158fa84e1", "running": false});
