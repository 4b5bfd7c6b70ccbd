#!/usr/bin/env bash
# Compiles the kernels: machine code for GPUs of compute capability 8.0 (A100), 8.6 (RTX 30), 8.9 (RTX 40, L4) and
# 9.0 (H100, H200), and PTX that the driver compiles for any other from 7.5 on. Needs nvcc of CUDA 13; with
# 13.0.88 it gives the committed files byte for byte, and later releases make PTX that needs a later driver.
set -euo pipefail
cd "$(dirname "$0")"
codes=(-gencode arch=compute_75,code=compute_75)
for capability in 80 86 89 90; do
  codes+=(-gencode "arch=compute_$capability,code=sm_$capability")
done
for kernel in norm stitch; do
  "${NVCC:-nvcc}" -O3 -std=c++17 "${codes[@]}" -Xfatbin -compress-all -fatbin "$kernel.cu" -o "$kernel.fatbin"
done
