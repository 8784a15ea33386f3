"""What a variant costs on this machine: size, operations, latency, throughput, training speed, memory."""
