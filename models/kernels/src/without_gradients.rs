//! Operations of backends without autodiff.

/// Implements [`DifferentiableOps`](crate::DifferentiableOps) for a backend without autodiff by its
/// [`BackendOps`](crate::BackendOps).
macro_rules! without_gradients {
    ($backend:ty) => {
        impl $crate::DifferentiableOps for $backend {
            fn layer_conv(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                bias: Option<burn::tensor::ops::FloatTensor<Self>>,
                geometry: $crate::ConvGeometry,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::conv(x, weight, bias, geometry)
            }

            fn layer_conv_transpose(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                output_shape: [usize; 3],
                geometry: $crate::ConvGeometry,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::conv_input_gradient(x, weight, output_shape, geometry)
            }

            fn layer_instance_norm(
                x: burn::tensor::ops::FloatTensor<Self>,
                affine: Option<[burn::tensor::ops::FloatTensor<Self>; 2]>,
                epsilon: f32,
                nonlinearity: $crate::Nonlinearity,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::instance_norm(x, affine, epsilon, nonlinearity).output
            }

            fn layer_batch_norm(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                bias: burn::tensor::ops::FloatTensor<Self>,
                running: [burn::tensor::ops::FloatTensor<Self>; 2],
                settings: $crate::BatchNormSettings,
                nonlinearity: $crate::Nonlinearity,
            ) -> $crate::BatchNormalized<Self> {
                let output = <Self as $crate::BackendOps>::batch_norm_inference(
                    x,
                    running.clone(),
                    weight,
                    bias,
                    settings.epsilon,
                    nonlinearity,
                );
                $crate::BatchNormalized { output, running }
            }

            fn layer_leaky_relu(
                x: burn::tensor::ops::FloatTensor<Self>,
                addend: Option<burn::tensor::ops::FloatTensor<Self>>,
                slope: f32,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::leaky_relu_sum(x, addend, slope)
            }

            fn layer_resize_linear(
                x: burn::tensor::ops::FloatTensor<Self>,
                space: [usize; 3],
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::resize_linear(x, space)
            }

            fn layer_dice_ce(
                logits: burn::tensor::ops::FloatTensor<Self>,
                classes: burn::tensor::ops::IntTensor<Self>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::dice_ce(logits, classes).loss
            }

            fn layer_dice_focal(
                logits: burn::tensor::ops::FloatTensor<Self>,
                classes: burn::tensor::ops::IntTensor<Self>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::dice_focal(logits, classes).loss
            }

            fn layer_linear(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                bias: Option<burn::tensor::ops::FloatTensor<Self>>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::linear(x, weight, bias)
            }

            fn layer_window_attention(
                qkv: burn::tensor::ops::FloatTensor<Self>,
                bias: burn::tensor::ops::FloatTensor<Self>,
                regions: Option<burn::tensor::ops::IntTensor<Self>>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::window_attention(qkv, bias, regions).output
            }

            fn layer_layer_norm(
                x: burn::tensor::ops::FloatTensor<Self>,
                affine: Option<[burn::tensor::ops::FloatTensor<Self>; 2]>,
                epsilon: f32,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::layer_norm(x, affine, epsilon)
            }

            fn layer_gelu(
                x: burn::tensor::ops::FloatTensor<Self>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::gelu(x)
            }

            fn layer_gather_rows(
                x: burn::tensor::ops::FloatTensor<Self>,
                gather: &$crate::RowGather<burn::tensor::ops::IntTensor<Self>>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::gather_rows(x, gather)
            }
        }
    };
}

pub(crate) use without_gradients;
